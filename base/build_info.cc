#include "base/build_info.h"

namespace atoll {

std::string Version() { return ATOLL_VERSION; }
std::string Commit() { return ATOLL_COMMIT; }

}  // namespace atoll
