#include "net/ucx/worker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace atoll::net {
namespace {

// UCX refuses to arm while a shared-memory send waits for room, and nothing then signals that there is room again.
// After a few rounds without progress we look again this often instead of spinning.
constexpr int kBusyRoundsMax = 4;
constexpr std::chrono::nanoseconds kBusyWait = std::chrono::microseconds(50);

}  // namespace

absl::Status UcxError(const char* what, ucs_status_t status) {
  return absl::UnavailableError(absl::StrCat(what, ": ", ucs_status_string(status)));
}

absl::StatusOr<std::unique_ptr<UcxWorker>> UcxWorker::Create() {
  std::unique_ptr<UcxWorker> worker(new UcxWorker());
  ATOLL_RETURN_IF_ERROR(worker->Init());
  return worker;
}

absl::Status UcxWorker::Init() {
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) return absl::ResourceExhaustedError(absl::StrCat("eventfd: ", std::strerror(errno)));
  ucp_config_t* config = nullptr;
  ucs_status_t status = ucp_config_read(nullptr, nullptr, &config);
  if (status != UCS_OK) return UcxError("reading the UCX configuration", status);
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.name = "atoll";
  status = ucp_init(&params, config, &context_);
  ucp_config_release(config);
  if (status != UCS_OK) return UcxError("starting UCX (check UCX_TLS and UCX_NET_DEVICES)", status);
  ucp_worker_params_t worker_params{};
  worker_params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  worker_params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  status = ucp_worker_create(context_, &worker_params, &worker_);
  if (status != UCS_OK) return UcxError("creating a UCX worker", status);
  status = ucp_worker_get_efd(worker_, &event_fd_);
  if (status != UCS_OK) return UcxError("getting the UCX event descriptor", status);
  return absl::OkStatus();
}

UcxWorker::~UcxWorker() {
  if (worker_ != nullptr) ucp_worker_destroy(worker_);
  if (context_ != nullptr) ucp_cleanup(context_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

bool UcxWorker::Progress() {
  const bool progressed = ucp_worker_progress(worker_) != 0;
  if (progressed) busy_rounds_ = 0;
  return progressed;
}

bool UcxWorker::Arm() {
  if (ucp_worker_arm(worker_) == UCS_OK) {
    busy_rounds_ = 0;
    return true;
  }
  return ++busy_rounds_ > kBusyRoundsMax;
}

void UcxWorker::Wait(std::chrono::nanoseconds timeout) {
  const bool busy = busy_rounds_ > kBusyRoundsMax;
  const auto nanoseconds = std::max<int64_t>(0, (busy ? std::min(timeout, kBusyWait) : timeout).count());
  const timespec limit{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  pollfd descriptors[] = {{wake_fd_, POLLIN, 0}, {event_fd_, POLLIN, 0}};
  const int ready = ppoll(descriptors, busy ? 1 : 2, &limit, nullptr);
  if (ready > 0 && (descriptors[0].revents & POLLIN) != 0) {
    uint64_t count;
    [[maybe_unused]] const ssize_t drained = read(wake_fd_, &count, sizeof count);
  }
}

void UcxWorker::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

}  // namespace atoll::net
