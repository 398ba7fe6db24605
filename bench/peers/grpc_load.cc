// SPDX-License-Identifier: MIT
//
// The load of echo_load.c over gRPC: one channel, DEPTH calls in flight.
// usage: grpc_load PORT PIDS SECONDS DEPTH

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "echo.grpc.pb.h"

extern "C" {
#include "load.h"
}

namespace
{

struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<bench::Message>> reader;
    bench::Message request;
    bench::Message response;
    grpc::Status status;
};

class Client
{
  public:
    explicit Client(const std::shared_ptr<grpc::Channel> &channel)
        : stub_(bench::Echo::NewStub(channel))
    {
    }

    void send(Call *call)
    {
        std::string body(64, static_cast<char>(next_));

        body.replace(0, sizeof(next_), reinterpret_cast<const char *>(&next_), sizeof(next_));
        next_++;
        call->request.set_body(body);
        call->context = std::make_unique<grpc::ClientContext>();
        call->reader = stub_->AsyncSay(call->context.get(), call->request, &queue_);
        call->reader->Finish(&call->response, &call->status, call);
    }

    void run_for(load_ns time)
    {
        load_ns end = load_now() + time;

        while (load_now() < end) {
            void *tag;
            bool is_ok;

            if (!queue_.Next(&tag, &is_ok))
                return;
            auto *call = static_cast<Call *>(tag);
            result.n++;
            if (!is_ok || !call->status.ok() || call->response.body() != call->request.body())
                result.bad++;
            send(call);
        }
    }

    load_result result{};

  private:
    std::unique_ptr<bench::Echo::Stub> stub_;
    grpc::CompletionQueue queue_;
    std::uint64_t next_ = 1;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 5)
        load_die("usage: grpc_load PORT PIDS SECONDS DEPTH");
    auto *client = new Client(grpc::CreateChannel(std::string("127.0.0.1:") + argv[1],
                                                  grpc::InsecureChannelCredentials()));
    long depth = load_number(argv[4], 1, 1024);
    load_window window;

    load_window_init(&window, argv[2]);
    for (long i = 0; i < depth; i++)
        client->send(new Call);
    client->run_for(LOAD_SECOND / 2);
    client->result = load_result{};
    load_window_begin(&window);
    client->run_for(load_number(argv[3], 1, 3600) * LOAD_SECOND);
    load_window_end(&window, &client->result, "");
    std::fflush(stdout);
    std::_Exit(client->result.bad == 0 ? 0 : 1); // calls are still in flight
}
