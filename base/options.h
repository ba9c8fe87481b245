#pragma once

// The options of one program or subcommand: flag > environment > YAML file > default. Parsed once in main, before
// threads start; every value is checked against its range there, whatever place it came from.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace atoll {

struct ProgramText {
  std::string name;      // "atoll-router", "atoll generate"
  std::string summary;   // one sentence
  std::string examples;  // lines shown first in --help
  // What a value that cannot be read or is out of range ends the program with: 78 for servers, 1 for commands.
  int bad_value_exit = 78;
};

template <typename T>
struct Range {
  T lowest;
  T highest;
};

class Options {
 public:
  enum class Origin { kDefault, kFile, kEnvironment, kFlag };

  explicit Options(ProgramText text);
  ~Options();

  // Headline under which the following options stand in --help.
  void Group(std::string headline);

  // `name` with its dashes. The target's present value is the default; it must outlive Parse.
  void String(std::string name, std::string* target, std::string help);
  void Choice(std::string name, std::string* target, std::vector<std::string> allowed, std::string help);
  void Int(std::string name, int64_t* target, Range<int64_t> range, std::string help);
  void Float(std::string name, double* target, Range<double> range, std::string help);
  // Present or absent on the command line; true or false elsewhere.
  void Flag(std::string name, bool* target, std::string help);
  // May be given several times on the command line (a list in the file).
  void List(std::string name, std::vector<std::string>* target, std::string help);

  // Without a value from anywhere, Parse ends with exit code 2.
  void Require(std::string_view name);
  // The target's value means nothing unless the option is given: --help shows no default.
  void NoDefault(std::string_view name);
  // Adds --config FILE and --print-config, and reads ATOLL_NAME_OF_OPTION.
  void ReadFileAndEnvironment();

  // Adds --log-format and --log-level, which Parse puts into effect.
  void Logging();

  // -1: go on. Otherwise what to exit with, everything having been said: 0 after --help, --version or --print-config, 2
  // for an unknown option or one that is missing, bad_value_exit for a value that cannot be.
  int Parse(int argc, const char* const* argv);

  Origin OriginOf(std::string_view name) const;
  bool Given(std::string_view name) const { return OriginOf(name) != Origin::kDefault; }
  // Names and present values as text, in the order of definition (lists joined by ',').
  std::vector<std::pair<std::string, std::string>> Values() const;

 private:
  struct Entry;

  Entry& Define(std::string name, std::string help);
  Entry* Find(std::string_view name) const;
  int ReadFlags(int argc, const char* const* argv);
  int ReadEnvironment();
  int ReadFile();
  int Assign(Entry& entry, const std::vector<std::string>& values, Origin origin, const std::string& place);
  int BadValue(const std::string& sentence) const;
  int Usage(const std::string& sentence) const;
  std::string NearestName(std::string_view unknown) const;
  void PrintHelp() const;
  void PrintConfig() const;
  void ApplyLogging() const;

  ProgramText text_;
  std::string group_ = "options";
  std::vector<std::unique_ptr<Entry>> entries_;
  std::string config_file_;
  bool reads_places_ = false;
  bool print_config_ = false;
  std::string log_format_ = "text", log_level_ = "info";
};

// "name version (commit), compiler": what --version prints after the program's name.
std::string VersionText();

}  // namespace atoll
