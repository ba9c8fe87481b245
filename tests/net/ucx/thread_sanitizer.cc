// UCX's memory hooks crash under the thread sanitizer, and UCX reads the setting that omits them when it is loaded, before
// main. So under that sanitizer the test program starts itself once more with the setting.

#if defined(__SANITIZE_THREAD__)

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace {

const bool started_with_setting = [] {
  if (std::getenv("UCX_MEM_EVENTS") != nullptr) return true;
  setenv("UCX_MEM_EVENTS", "n", 1);
  std::vector<std::string> words;
  std::ifstream command("/proc/self/cmdline");
  for (std::string word; std::getline(command, word, '\0');) words.push_back(word);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv("/proc/self/exe", arguments.data());
  return false;
}();

}  // namespace

#endif
