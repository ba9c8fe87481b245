#include "base/options.h"

#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "base/log.h"

namespace atoll {
namespace {

constexpr std::string_view kLogLevels[] = {"debug", "info", "warning", "error", "off"};  // in the order of LogLevel

struct StringTarget { std::string* value; };
struct ChoiceTarget { std::string* value; std::vector<std::string> allowed; };
struct IntTarget { int64_t* value; Range<int64_t> range; };
struct FloatTarget { double* value; Range<double> range; };
struct FlagTarget { bool* value; };
struct ListTarget { std::vector<std::string>* value; };
using Target = std::variant<StringTarget, ChoiceTarget, IntTarget, FloatTarget, FlagTarget, ListTarget>;

template <typename T>
bool ParseNumber(const std::string& text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

// Each Set returns what was expected, or nothing when the value was taken.
std::string Set(StringTarget& t, const std::string& text) { return *t.value = text, ""; }

std::string Set(ChoiceTarget& t, const std::string& text) {
  if (std::find(t.allowed.begin(), t.allowed.end(), text) == t.allowed.end())
    return absl::StrCat("one of ", absl::StrJoin(t.allowed, ", "));
  return *t.value = text, "";
}

std::string Set(IntTarget& t, const std::string& text) {
  int64_t value = 0;
  if (!ParseNumber(text, &value) || value < t.range.lowest || value > t.range.highest)
    return absl::StrCat("an integer in [", t.range.lowest, ", ", t.range.highest, "]");
  return *t.value = value, "";
}

std::string Set(FloatTarget& t, const std::string& text) {
  double value = 0;
  if (!ParseNumber(text, &value) || !std::isfinite(value) || value < t.range.lowest || value > t.range.highest)
    return absl::StrCat("a number in [", t.range.lowest, ", ", t.range.highest, "]");
  return *t.value = value, "";
}

std::string Set(FlagTarget& t, const std::string& text) {
  if (text != "true" && text != "false") return "true or false";
  return *t.value = text == "true", "";
}

std::string Set(ListTarget& t, const std::string& text) { return t.value->push_back(text), ""; }

std::string Text(const StringTarget& t) { return *t.value; }
std::string Text(const ChoiceTarget& t) { return *t.value; }
std::string Text(const IntTarget& t) { return absl::StrCat(*t.value); }
std::string Text(const FloatTarget& t) { return absl::StrCat(*t.value); }
std::string Text(const FlagTarget& t) { return *t.value ? "true" : "false"; }
std::string Text(const ListTarget& t) { return absl::StrJoin(*t.value, ","); }

std::string VariableName(const std::string& option) {
  return absl::AsciiStrToUpper(absl::StrCat("ATOLL_", absl::StrReplaceAll(option.substr(2), {{"-", "_"}, {".", "_"}})));
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[b.size()];
}

constexpr const char* kOriginNames[] = {"default", "file", "environment", "flag"};

}  // namespace

struct Options::Entry {
  std::string name;
  std::string help;
  std::string group;
  Target target;
  Origin origin = Origin::kDefault;
  bool required = false;
  bool no_default = false;
  std::string default_text;

  std::string ValueText() const {
    return std::visit([](const auto& t) { return Text(t); }, target);
  }
};

Options::Options(ProgramText text) : text_(std::move(text)) {}
Options::~Options() = default;

void Options::Group(std::string headline) { group_ = std::move(headline); }

Options::Entry& Options::Define(std::string name, std::string help) {
  ATOLL_CHECK(name.size() > 2 && name.starts_with("--") && Find(name) == nullptr, name);
  entries_.push_back(std::make_unique<Entry>());
  Entry& entry = *entries_.back();
  entry.name = std::move(name);
  entry.help = std::move(help);
  entry.group = group_;
  return entry;
}

void Options::String(std::string name, std::string* target, std::string help) {
  Define(std::move(name), std::move(help)).target = StringTarget{target};
}
void Options::Choice(std::string name, std::string* target, std::vector<std::string> allowed, std::string help) {
  Define(std::move(name), std::move(help)).target = ChoiceTarget{target, std::move(allowed)};
}
void Options::Int(std::string name, int64_t* target, Range<int64_t> range, std::string help) {
  Define(std::move(name), std::move(help)).target = IntTarget{target, range};
}
void Options::Float(std::string name, double* target, Range<double> range, std::string help) {
  Define(std::move(name), std::move(help)).target = FloatTarget{target, range};
}
void Options::Flag(std::string name, bool* target, std::string help) {
  Define(std::move(name), std::move(help)).target = FlagTarget{target};
}
void Options::List(std::string name, std::vector<std::string>* target, std::string help) {
  Define(std::move(name), std::move(help)).target = ListTarget{target};
}

void Options::Require(std::string_view name) {
  Entry* entry = Find(name);
  ATOLL_CHECK(entry != nullptr, std::string(name));
  entry->required = true;
}

void Options::NoDefault(std::string_view name) {
  Entry* entry = Find(name);
  ATOLL_CHECK(entry != nullptr, std::string(name));
  entry->no_default = true;
}

void Options::ReadFileAndEnvironment() { reads_places_ = true; }

Options::Entry* Options::Find(std::string_view name) const {
  const auto same = [](char a, char b) { return a == b || (a == '-' && b == '_'); };  // as other systems write some names
  for (const auto& entry : entries_)
    if (std::equal(entry->name.begin(), entry->name.end(), name.begin(), name.end(), same)) return entry.get();
  return nullptr;
}

Options::Origin Options::OriginOf(std::string_view name) const {
  const Entry* entry = Find(name);
  ATOLL_CHECK(entry != nullptr, std::string(name));
  return entry->origin;
}

std::vector<std::pair<std::string, std::string>> Options::Values() const {
  std::vector<std::pair<std::string, std::string>> values;
  for (const auto& entry : entries_) values.emplace_back(entry->name, entry->ValueText());
  return values;
}

void Options::Logging() {
  Group("logs");
  Choice("--log-format", &log_format_, {"text", "json"}, "json: one object a line, with time, level, process, message and request_id");
  Choice("--log-level", &log_level_, {std::begin(kLogLevels), std::end(kLogLevels)}, "lowest level that is written");
}

void Options::ApplyLogging() const {
  SetLogFormat(log_format_ == "json" ? LogFormat::kJson : LogFormat::kText);
  const auto* const level = std::find(std::begin(kLogLevels), std::end(kLogLevels), log_level_);
  SetLogLevel(static_cast<LogLevel>(level - std::begin(kLogLevels)));
}

int Options::Parse(int argc, const char* const* argv) {
  for (auto& entry : entries_) entry->default_text = entry->ValueText();
  if (const int code = ReadFlags(argc, argv); code >= 0) return code;
  if (reads_places_) {
    if (const int code = ReadEnvironment(); code >= 0) return code;
    if (const int code = ReadFile(); code >= 0) return code;
  }
  if (print_config_) return PrintConfig(), 0;
  for (const auto& entry : entries_)
    if (entry->required && entry->origin == Origin::kDefault) return Usage(absl::StrCat(entry->name, " is missing"));
  if (Find("--log-level") != nullptr) ApplyLogging();
  return -1;
}

namespace {

// "--group.some-name" may be written "--group.some_name", as users of other systems know it.
std::string NamesOf(const std::string& name) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos || name.find('-', dot) == std::string::npos) return name;
  return absl::StrCat(name, ",", name.substr(0, dot), absl::StrReplaceAll(name.substr(dot), {{"-", "_"}}));
}

}  // namespace

int Options::ReadFlags(int argc, const char* const* argv) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  bool help = false, version = false;
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  if (reads_places_) {
    app.add_option("--config", config_file_);
    app.add_flag("--print-config", print_config_);
  }
  std::map<Entry*, std::vector<std::string>> given;
  std::map<Entry*, CLI::Option*> parsed;
  for (const auto& entry : entries_) {
    if (std::holds_alternative<FlagTarget>(entry->target)) {
      parsed[entry.get()] = app.add_flag(entry->name);
    } else {
      parsed[entry.get()] = app.add_option(NamesOf(entry->name), given[entry.get()])->expected(1)->allow_extra_args(false)->multi_option_policy(
          std::holds_alternative<ListTarget>(entry->target) ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::Throw);
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return Usage(error.what());
  }
  if (help) return PrintHelp(), 0;
  if (version) return std::cout << text_.name << " " << VersionText() << "\n", 0;
  for (const std::string& extra : app.remaining()) {
    const std::string name = extra.substr(0, extra.find('='));
    return Usage(absl::StrCat("unknown option ", extra, name.starts_with("--") ? NearestName(name) : ""));
  }
  for (const auto& entry : entries_) {
    const CLI::Option* option = parsed[entry.get()];
    if (option->count() == 0) continue;
    std::vector<std::string> values = given[entry.get()];
    if (std::holds_alternative<FlagTarget>(entry->target)) values = {option->results().front()};
    if (const int code = Assign(*entry, values, Origin::kFlag, entry->name); code >= 0) return code;
  }
  return -1;
}

int Options::ReadEnvironment() {
  for (const auto& entry : entries_) {
    const std::string variable = VariableName(entry->name);
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr || entry->origin == Origin::kFlag) continue;
    if (const int code = Assign(*entry, {value}, Origin::kEnvironment, variable); code >= 0) return code;
  }
  if (const char* file = std::getenv("ATOLL_CONFIG"); file != nullptr && config_file_.empty()) config_file_ = file;
  return -1;
}

int Options::ReadFile() {
  if (config_file_.empty()) return -1;
  YAML::Node root;
  try {
    root = YAML::LoadFile(config_file_);
  } catch (const YAML::Exception& error) {
    return BadValue(absl::StrCat(config_file_, ": expected a YAML map of option names, found: ", error.what()));
  }
  if (!root.IsMap() && !root.IsNull()) return BadValue(absl::StrCat(config_file_, ": expected a YAML map of option names"));
  std::vector<std::string> seen;
  for (const auto& pair : root) {
    const std::string key = pair.first.IsScalar() ? pair.first.Scalar() : "";
    const std::string place = absl::StrCat(config_file_, ": ", key);
    Entry* entry = Find("--" + key);
    if (entry == nullptr) return BadValue(absl::StrCat(place, ": unknown key", NearestName("--" + key)));
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) return BadValue(absl::StrCat(place, ": duplicate key"));
    seen.push_back(key);
    std::vector<std::string> values;
    if (pair.second.IsScalar()) values = {pair.second.Scalar()};
    for (const auto& item : pair.second.IsSequence() ? pair.second : YAML::Node(YAML::NodeType::Sequence)) {
      if (!item.IsScalar()) return BadValue(absl::StrCat(place, ": expected scalars in the list"));
      values.push_back(item.Scalar());
    }
    if (values.empty() || (values.size() > 1 && !std::holds_alternative<ListTarget>(entry->target)))
      return BadValue(absl::StrCat(place, ": expected one value"));
    if (entry->origin != Origin::kDefault) continue;
    if (const int code = Assign(*entry, values, Origin::kFile, place); code >= 0) return code;
  }
  return -1;
}

int Options::Assign(Entry& entry, const std::vector<std::string>& values, Origin origin, const std::string& place) {
  if (auto* list = std::get_if<ListTarget>(&entry.target)) list->value->clear();
  for (const std::string& value : values) {
    const std::string expected = std::visit([&](auto& target) { return Set(target, value); }, entry.target);
    if (!expected.empty()) return BadValue(absl::StrCat(place, ": expected ", expected, ", found '", value, "'"));
  }
  entry.origin = origin;
  return -1;
}

int Options::BadValue(const std::string& sentence) const {
  std::cerr << (text_.bad_value_exit == 78 ? text_.name + ": " : "error: INVALID_ARGUMENT: ") << sentence << std::endl;
  return text_.bad_value_exit;
}

int Options::Usage(const std::string& sentence) const {
  std::cerr << text_.name << ": " << sentence << "; see " << text_.name << " --help" << std::endl;
  return 2;
}

std::string Options::NearestName(std::string_view unknown) const {
  const Entry* nearest = nullptr;
  size_t distance = 4;
  for (const auto& entry : entries_)
    if (const size_t d = EditDistance(unknown, entry->name); d < distance) distance = d, nearest = entry.get();
  return nearest == nullptr ? "" : absl::StrCat(" (did you mean ", nearest->name, "?)");
}

void Options::PrintHelp() const {
  std::cout << text_.name << ": " << text_.summary << "\n\n" << text_.examples << "\n";
  std::string group;
  for (const auto& entry : entries_) {
    if (entry->group != group) std::cout << (group.empty() ? "" : "\n") << (group = entry->group) << ":\n";
    std::cout << "  " << entry->name << (std::holds_alternative<FlagTarget>(entry->target) ? "" : " VALUE") << "\n      " << entry->help;
    if (entry->required) std::cout << " (required)";
    else if (!entry->no_default && !entry->default_text.empty()) std::cout << " (default " << entry->default_text << ")";
    if (reads_places_) std::cout << " [" << VariableName(entry->name) << "]";
    std::cout << "\n";
  }
  if (reads_places_) std::cout << "\n  --config FILE     YAML with option names as keys; flag > environment > file > default\n  --print-config    print every value and where it comes from\n";
  std::cout << "  --help, --version\n" << std::flush;
}

void Options::PrintConfig() const {
  for (const auto& entry : entries_)
    std::cout << entry->name.substr(2) << ": " << entry->ValueText() << "  # " << kOriginNames[static_cast<int>(entry->origin)] << "\n";
  std::cout << std::flush;
}

std::string VersionText() {
  return absl::StrCat(ATOLL_VERSION, " (g++ ", __VERSION__, ")");
}

}  // namespace atoll
