// SPDX-License-Identifier: MIT
//
// gRPC C++, asynchronous, one completion queue, one thread. usage: grpc_echo

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>

#include "echo.grpc.pb.h"

namespace
{

constexpr int kWaiting =
    128; // calls that may be waiting to be taken: more than any load has in flight

class Call
{
  public:
    Call(bench::Echo::AsyncService *service, grpc::ServerCompletionQueue *queue)
        : service_(service), queue_(queue)
    {
        begin();
    }

    void go_on(bool is_ok)
    {
        if (!is_ok)
            return;
        if (is_answered_) {
            begin();
            return;
        }
        is_answered_ = true;
        writer_->Finish(message_, grpc::Status::OK, this);
    }

  private:
    void begin()
    {
        writer_.reset();
        context_ = std::make_unique<grpc::ServerContext>();
        writer_ = std::make_unique<grpc::ServerAsyncResponseWriter<bench::Message>>(context_.get());
        is_answered_ = false;
        service_->RequestSay(context_.get(), &message_, writer_.get(), queue_, queue_, this);
    }

    bench::Echo::AsyncService *service_;
    grpc::ServerCompletionQueue *queue_;
    std::unique_ptr<grpc::ServerContext> context_;
    std::unique_ptr<grpc::ServerAsyncResponseWriter<bench::Message>> writer_;
    bench::Message message_;
    bool is_answered_ = false;
};

} // namespace

int main()
{
    bench::Echo::AsyncService service;
    grpc::ServerBuilder builder;
    int port = 0;

    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    auto queue = builder.AddCompletionQueue();
    auto server = builder.BuildAndStart();
    std::vector<std::unique_ptr<Call>> calls;

    for (int i = 0; i < kWaiting; i++)
        calls.push_back(std::make_unique<Call>(&service, queue.get()));
    std::printf("%d\n", port);
    std::fflush(stdout);
    for (;;) {
        void *tag;
        bool is_ok;

        if (!queue->Next(&tag, &is_ok))
            return 0;
        static_cast<Call *>(tag)->go_on(is_ok);
    }
}
