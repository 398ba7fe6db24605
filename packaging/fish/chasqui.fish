# SPDX-License-Identifier: MIT
# Completion for fish: commands and options as --help tells them, and models where a command takes one.

function __chasqui_commands
    set -l words (commandline -opc)
    $words[1] --help 2>/dev/null | string replace -rf '^  ([a-z]+) +(.*)' '$1\t$2'
end

function __chasqui_options
    set -l words (commandline -opc)
    $words[1] $words[2] --help 2>/dev/null | awk '
        function tell() { if (flag != "") print flag "\t" text; flag = "" }
        /^  --?[a-z]/ {
            tell()
            flag = $1; text = ""
            if (match($0, /[^ ]  +[^ ]/)) text = substr($0, RSTART + RLENGTH - 1)
            next
        }
        flag != "" && text == "" { text = $0; sub(/^ +/, "", text) }
        END { tell() }'
end

function __chasqui_wants_option
    not __fish_use_subcommand; and string match -q -- '-*' (commandline -ct)
end

function __chasqui_models
    set -l words (commandline -opc)
    $words[1] list 2>/dev/null | string replace -rf '^(\S+) .*' '$1' | tail -n +2
end

function __chasqui_takes_model
    set -l words (commandline -opc)
    test (count $words) -eq 2; and contains -- $words[2] run embed show cp rm stop
end

complete -c chasqui -f -n __fish_use_subcommand -a '(__chasqui_commands)'
complete -c chasqui -n __chasqui_wants_option -a '(__chasqui_options)'
complete -c chasqui -f -n __chasqui_takes_model -a '(__chasqui_models)'
