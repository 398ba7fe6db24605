# protobuf-c ends text at its first NUL and knows no optional fields in proto3, so the C code is made from a copy of
# proto/chasqui.proto that says the same bytes in other words: proto2, every field labelled, text as bytes.
s/^syntax = "proto3"/syntax = "proto2"/
s/^( +)(string|bytes|uint32) /\1optional \2 /
s/(optional|repeated) string /\1 bytes /
