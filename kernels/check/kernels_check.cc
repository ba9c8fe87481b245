// kernels_check: every op against its reference on one device, generated inputs; exit 1 on a wrong result, 2 on a wrong command.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/check/checker.h"

namespace atoll::kernels::check {
namespace {

constexpr char kUsage[] = R"(usage: kernels_check [--device auto|cpu|cuda:N|emulated:N] [--shapes small|family] [--bench] [--only OP] [--schedule N]
  --device    auto (default): cuda:0 where there is one, else the CPU
  --shapes    family: the 671B model's (default on CUDA); small: the bundled checkpoint's and other small ones (default elsewhere)
  --bench     also times each op, L2 flushed, against the ceilings that it measures first
  --only      the ops whose name contains this
  --schedule  the emulator's order of threads and blocks: 0 ascending, 1 descending, others random by that seed
)";

struct Options {
  std::string device = "auto", shapes, only;
  bool bench = false;
  uint64_t schedule = 0;
};

[[noreturn]] void End(int status, const std::string& text) {
  std::fprintf(stderr, "kernels_check: %s\n", text.c_str());
  std::exit(status);
}

void Need(const KernelError& error, int status = 1) {
  if (!error.ok()) End(status, error.text);
}

Options ParseOptions(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == count) End(2, word + " needs a value\n" + kUsage);
      return words[++i];
    };
    if (word == "--device") options.device = value();
    else if (word == "--shapes") options.shapes = value();
    else if (word == "--only") options.only = value();
    else if (word == "--schedule") options.schedule = std::strtoull(value().c_str(), nullptr, 10);
    else if (word == "--bench") options.bench = true;
    else if (word == "--help") { std::fputs(kUsage, stdout); std::exit(0); }
    else End(2, "unknown word " + word + "\n" + kUsage);
  }
  if (!options.shapes.empty() && options.shapes != "small" && options.shapes != "family") End(2, "--shapes is small or family, found " + options.shapes);
  return options;
}

std::unique_ptr<Device> Open(const Options& options) {
  DeviceName name;
  Need(ParseDevice(options.device, &name));
  std::unique_ptr<Device> device;
  if (name.kind != DeviceKind::kCpu) Need(OpenDevice(name, &device, {.schedule = options.schedule}));
  return device;
}

void PrintDevice(Device* device, const Ceilings& ceilings) {
  if (device == nullptr) {
    std::printf("device: CPU, %s against reference\n", IsaName(DetectIsa()));
    return;
  }
  DeviceInfo info;
  Need(device->Info(&info));
  std::printf("device: %s, %d multiprocessors, compute capability %d.%d, %.1f GB\n", info.name.c_str(), info.multiprocessors, info.major, info.minor,
              static_cast<double>(info.memory_bytes) * 1e-9);
  if (ceilings.read_bytes > 0) std::printf("ceilings, measured now: reading %.0f GB/s, bf16 mma.sync %.0f TFLOP/s\n", ceilings.read_bytes * 1e-9, ceilings.mma_flop * 1e-12);
}

double FloorMs(const OpCase& timed, const Ceilings& ceilings) {
  if (ceilings.read_bytes == 0) return 0;
  const double rows = static_cast<double>(timed.rows);
  return 1e3 * std::max((timed.weight_bytes + rows * timed.row_bytes) / ceilings.read_bytes, rows * timed.row_flop / ceilings.mma_flop);
}

void PrintRow(const OpCase& tried, const Verdict& verdict, const Ceilings& ceilings) {
  std::printf("%-16s %-44s %6lld  %9.2e  ", tried.op.c_str(), tried.shape.c_str(), static_cast<long long>(tried.rows), verdict.worst_error);
  if (verdict.ms < 0) std::printf("%12s %6s", "-", "-");
  else if (const double floor = FloorMs(tried, ceilings); floor > 0) std::printf("%9.1f us %6.2f", verdict.ms * 1e3, floor / verdict.ms);
  else std::printf("%9.1f us %6s", verdict.ms * 1e3, "-");
  std::printf("  %s\n", verdict.text.c_str());
  std::fflush(stdout);
}

Cases AllCases(bool family) {
  Cases cases;
  AddRowCases(family, cases);
  AddRopeCases(family, cases);
  AddGateCases(family, cases);
  AddLinearCases(family, cases);
  AddExpertCases(family, cases);
  AddAttentionCases(family, cases);
  AddHeadCases(family, cases);
  return cases;
}

int Run(const Options& options) {
  const std::unique_ptr<Device> device = Open(options);
  const bool cuda = device != nullptr && device->kind() == DeviceKind::kCuda;
  std::unique_ptr<Checker> checker;
  Need(Checker::Make(device.get(), &checker));
  Ceilings ceilings;
  if (options.bench) Need(checker->MeasureCeilings(&ceilings));
  PrintDevice(device.get(), ceilings);
  std::printf("%-16s %-44s %6s  %9s  %12s %6s  verdict\n", "op", "shape", "rows", "error", "time", "floor");
  int passed = 0, failed = 0;
  CaseMaker maker{.device = device.get(), .family = options.shapes.empty() ? cuda : options.shapes == "family"};
  for (const CaseEntry& entry : AllCases(maker.family)) {
    if (entry.op.find(options.only) == std::string::npos) continue;
    OpCase tried = entry.make(maker);
    tried.op = entry.op;
    Verdict verdict = checker->Check(tried);
    if (options.bench && verdict.ok) Need(checker->Time(tried, cuda ? 21 : 3, &verdict.ms));
    PrintRow(tried, verdict, ceilings);
    ++(verdict.ok ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace
}  // namespace atoll::kernels::check

int main(int count, char** words) { return atoll::kernels::check::Run(atoll::kernels::check::ParseOptions(count, words)); }
