// OpenTelemetry's environment variables, and the exporter against a receiver that is there, that refuses, and that is not.

#include <atomic>
#include <map>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "net/grpc/server.h"
#include "net/otlp/otlp_exporter.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"

namespace atoll::net {
namespace {

namespace otlp = opentelemetry::proto;
using testing::HasSubstr;

absl::StatusOr<std::optional<OtlpSettings>> Read(std::map<std::string, std::string> variables) {
  return ReadOtlpSettings([&](const std::string& name) { return variables[name]; }, "atoll-test");
}

TEST(OtlpSettingsTest, WithoutAnEndpointNothingIsSent) {
  EXPECT_EQ(*Read({}), std::nullopt);
  EXPECT_EQ(*Read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}, {"OTEL_SDK_DISABLED", "true"}}), std::nullopt);
  EXPECT_EQ(*Read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}, {"OTEL_TRACES_EXPORTER", "none"}}), std::nullopt);
}

TEST(OtlpSettingsTest, TheVariablesAreHonoured) {
  const OtlpSettings plain = **Read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/"}});
  EXPECT_EQ(plain.endpoint, "collector:4317");
  EXPECT_EQ(plain.service_name, "atoll-test");
  EXPECT_EQ(plain.sampler, trace::Sampler{});
  const OtlpSettings full = **Read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://other:1"},
                                    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318"},
                                    {"OTEL_SERVICE_NAME", "front"},
                                    {"OTEL_TRACES_SAMPLER", "parentbased_traceidratio"},
                                    {"OTEL_TRACES_SAMPLER_ARG", "0.5"}});
  EXPECT_EQ(full.endpoint, "traces:4318");
  EXPECT_EQ(full.service_name, "front");
  EXPECT_EQ(full.sampler, (trace::Sampler{true, 0.5}));
}

TEST(OtlpSettingsTest, WhatCannotBeFollowedIsNamed) {
  const auto message = [](std::map<std::string, std::string> more) {
    more.emplace("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1");
    const auto settings = Read(more);
    return settings.ok() ? std::string("OK") : std::string(settings.status().message());
  };
  EXPECT_THAT(message({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://a:1"}}), HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT"));
  EXPECT_THAT(message({{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:1/v1/traces"}}), HasSubstr("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
  EXPECT_THAT(message({{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"}}), HasSubstr("expected grpc"));
  EXPECT_THAT(message({{"OTEL_TRACES_SAMPLER", "sometimes"}}), HasSubstr("OTEL_TRACES_SAMPLER"));
  EXPECT_THAT(message({{"OTEL_TRACES_SAMPLER", "traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "7"}}), HasSubstr("OTEL_TRACES_SAMPLER"));
}

class Receiver final : public otlp::collector::trace::v1::TraceService::Service {
 public:
  Receiver() { server_ = *GrpcServer::Start({.listen = "127.0.0.1:0"}, {this}); }

  grpc::Status Export(grpc::ServerContext*, const otlp::collector::trace::v1::ExportTraceServiceRequest* request,
                      otlp::collector::trace::v1::ExportTraceServiceResponse* response) override {
    if (refuses) return grpc::Status(grpc::PERMISSION_DENIED, "not from you");
    response->mutable_partial_success()->set_rejected_spans(rejected);
    last = *request;
    ++calls;
    return grpc::Status::OK;
  }

  OtlpSettings settings() const { return {.endpoint = server_->address(), .service_name = "front", .sampler = {}}; }

  bool refuses = false;
  int64_t rejected = 0;
  otlp::collector::trace::v1::ExportTraceServiceRequest last;
  std::atomic<int> calls{0};

 private:
  std::unique_ptr<GrpcServer> server_;
};

class OtlpExporterTest : public testing::Test {
 protected:
  void SetUp() override {
    SetLogLevel(LogLevel::kOff);
    PrepareGrpc();
  }
};

TEST_F(OtlpExporterTest, ASpanArrivesWhole) {
  Receiver receiver;
  trace::TraceContext context;
  {
    const auto exporter = OtlpExporter::Start(receiver.settings(), {"1.2", "router-0"});
    const trace::TraceContext parent = *trace::ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    context = exporter->tracer().NewSpan(parent);
    exporter->tracer().Record({.context = context,
                               .parent = parent.span_id,
                               .state = "vendor=1",
                               .name = "chat tales",
                               .kind = trace::SpanKind::kServer,
                               .begin_unix_ns = 1000,
                               .end_unix_ns = 3000,
                               .attributes = {{"text", std::string("x")}, {"number", int64_t{7}}, {"list", std::vector<std::string>{"a", "b"}}},
                               .events = {{.name = "first token", .unix_ns = 2000}},
                               .links = {parent},
                               .error = "it failed"});
  }
  ASSERT_EQ(receiver.calls, 1);
  const auto& all = receiver.last.resource_spans(0);
  EXPECT_EQ(all.resource().attributes(0).key(), "service.name");
  EXPECT_EQ(all.resource().attributes(0).value().string_value(), "front");
  ASSERT_EQ(all.scope_spans(0).spans_size(), 1);
  const otlp::trace::v1::Span& span = all.scope_spans(0).spans(0);
  EXPECT_EQ(span.trace_id(), std::string("\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36", 16));
  EXPECT_EQ(span.parent_span_id(), std::string("\x00\xf0\x67\xaa\x0b\xa9\x02\xb7", 8));
  EXPECT_EQ(span.span_id(), std::string(context.span_id.begin(), context.span_id.end()));
  EXPECT_EQ(span.trace_state(), "vendor=1");
  EXPECT_EQ(span.kind(), otlp::trace::v1::Span::SPAN_KIND_SERVER);
  EXPECT_EQ(span.start_time_unix_nano(), 1000u);
  EXPECT_EQ(span.end_time_unix_nano(), 3000u);
  EXPECT_EQ(span.attributes(1).value().int_value(), 7);
  EXPECT_EQ(span.attributes(2).value().array_value().values(1).string_value(), "b");
  EXPECT_EQ(span.events(0).name(), "first token");
  EXPECT_EQ(span.links(0).span_id(), span.parent_span_id());
  EXPECT_EQ(span.status().code(), otlp::trace::v1::Status::STATUS_CODE_ERROR);
}

// Spans of `count` traces, sent or not by the exporter's end; how many were dropped by then.
int64_t DroppedOf(const OtlpSettings& settings, int count) {
  auto exporter = OtlpExporter::Start(settings, {"1", "x"});
  trace::Tracer& tracer = exporter->tracer();
  for (int i = 0; i < count; ++i) tracer.Record({.context = tracer.NewSpan(std::nullopt), .name = "span"});
  tracer.Close();
  while (tracer.dropped() < count) std::this_thread::yield();
  return tracer.dropped();
}

TEST_F(OtlpExporterTest, AReceiverThatRefusesCostsTheSpansAlone) {
  Receiver receiver;
  receiver.refuses = true;
  EXPECT_EQ(DroppedOf(receiver.settings(), 3), 3);
  receiver.refuses = false;
  receiver.rejected = 2;
  EXPECT_EQ(DroppedOf(receiver.settings(), 2), 2);
}

TEST_F(OtlpExporterTest, AReceiverThatIsAwayHoldsUpNobody) {
  const auto exporter = OtlpExporter::Start({.endpoint = "127.0.0.1:1", .service_name = "front", .sampler = {}}, {"1", "x"});
  for (int i = 0; i < 20000; ++i) exporter->tracer().Record({.context = exporter->tracer().NewSpan(std::nullopt), .name = "span"});
  EXPECT_GT(exporter->tracer().dropped(), 10000);
}

}  // namespace
}  // namespace atoll::net
