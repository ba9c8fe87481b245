#include "model/chat/jinja/evaluator.h"

#include <utility>

namespace atoll::model::jinja {
namespace {

absl::Status Refused(const std::string& reason) { return absl::InvalidArgumentError("chat template: " + reason); }

std::string TypeOf(const Value& value) { return std::string(value.TypeName()); }

class Evaluator {
 public:
  Evaluator(const Map& globals, const EvaluationLimits& limits) : limits_(limits), scopes_{globals} {}

  absl::Status Run(const Body& body) {
    for (const Statement& statement : body) ATOLL_RETURN_IF_ERROR(Run(statement));
    return absl::OkStatus();
  }

  Text TakeOutput() { return std::move(output_); }

 private:
  absl::Status CountStep() {
    if (++steps_ <= limits_.steps_max) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat("chat template: expected at most ", limits_.steps_max, " steps"));
  }

  absl::Status SpendBytes(size_t bytes) {
    bytes_made_ += bytes;
    if (bytes_made_ <= limits_.bytes_made_max) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat("chat template: expected to make at most ", limits_.bytes_made_max, " bytes of text"));
  }

  absl::Status Append(const Text& text) {
    ATOLL_RETURN_IF_ERROR(SpendBytes(text.bytes.size()));
    output_.Append(text);
    return absl::OkStatus();
  }

  absl::Status Run(const Statement& statement) {
    ATOLL_RETURN_IF_ERROR(CountStep());
    switch (statement.kind) {
      case Statement::Kind::kText: return Append(Text::Of(statement.text, Origin::kTemplate));
      case Statement::Kind::kPrint: return Print(statement);
      case Statement::Kind::kSet: return Set(statement);
      case Statement::Kind::kFor: return For(statement);
      case Statement::Kind::kIf: return If(statement);
    }
    return absl::OkStatus();
  }

  absl::Status Print(const Statement& statement) {
    ATOLL_ASSIGN_OR_RETURN(const Value value, Evaluate(statement.expressions[0]));
    const Text* text = value.AsText();
    return Append(text != nullptr ? *text : value.Printed());
  }

  absl::Status Set(const Statement& statement) {
    ATOLL_ASSIGN_OR_RETURN(Value value, Evaluate(statement.expressions[0]));
    if (statement.attribute.empty()) return Assign(scopes_.back(), statement.name, std::move(value)), absl::OkStatus();
    Map* target = Lookup(statement.name).AsNamespace();
    if (target == nullptr) return Refused(statement.name + " is no namespace");
    Assign(*target, statement.attribute, std::move(value));
    return absl::OkStatus();
  }

  static void Assign(Map& variables, const std::string& name, Value value) {
    for (auto& [key, held] : variables) {
      if (key == name) return void(held = std::move(value));
    }
    variables.emplace_back(name, std::move(value));
  }

  Value Lookup(std::string_view name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (Value found = ValueOfKey(*scope, name); !found.IsUndefined()) return found;
    }
    return Value();
  }

  absl::Status If(const Statement& statement) {
    for (const Branch& branch : statement.branches) {
      if (!branch.condition.empty()) {
        ATOLL_ASSIGN_OR_RETURN(const Value condition, Evaluate(branch.condition[0]));
        if (!condition.IsTrue()) continue;
      }
      return Run(branch.body);
    }
    return absl::OkStatus();
  }

  absl::Status For(const Statement& statement) {
    ATOLL_ASSIGN_OR_RETURN(const Value iterated, Evaluate(statement.expressions[0]));
    if (iterated.IsUndefined()) return absl::OkStatus();
    if (iterated.AsList() == nullptr) return Refused("expected a list to loop over, found " + TypeOf(iterated));
    ATOLL_ASSIGN_OR_RETURN(const List chosen, Filtered(statement, *iterated.AsList()));
    absl::Status status;
    for (size_t i = 0; i < chosen.size() && status.ok(); ++i) {
      scopes_.push_back({{statement.name, chosen[i]}, {"loop", LoopValue(i, chosen.size())}});
      status = Run(statement.branches[0].body);
      scopes_.pop_back();
    }
    return status;
  }

  static Value LoopValue(size_t index, size_t count) {
    return Value::Of(Map{{"first", Value::Of(index == 0)},
                         {"last", Value::Of(index + 1 == count)},
                         {"index0", Value::Of(static_cast<int64_t>(index))},
                         {"index", Value::Of(static_cast<int64_t>(index) + 1)},
                         {"length", Value::Of(static_cast<int64_t>(count))}});
  }

  absl::StatusOr<List> Filtered(const Statement& statement, const List& list) {
    if (statement.expressions.size() == 1) return list;
    List chosen;
    for (const Value& item : list) {
      scopes_.push_back({{statement.name, item}});
      absl::StatusOr<Value> condition = Evaluate(statement.expressions[1]);
      scopes_.pop_back();
      if (!condition.ok()) return condition.status();
      if (condition->IsTrue()) chosen.push_back(item);
    }
    return chosen;
  }

  absl::StatusOr<Value> Evaluate(const Expression& e) {
    using Kind = Expression::Kind;
    ATOLL_RETURN_IF_ERROR(CountStep());
    switch (e.kind) {
      case Kind::kLiteral: return e.value;
      case Kind::kVariable: return Lookup(e.name);
      case Kind::kNamespace: return Namespace(e);
      case Kind::kAnd: return Joined(e, false);
      case Kind::kOr: return Joined(e, true);
      case Kind::kConcatenate: return Concatenate(e);
      case Kind::kConditional: return Conditional(e);
      default: break;
    }
    ATOLL_ASSIGN_OR_RETURN(const Value first, Evaluate(e.operands[0]));
    switch (e.kind) {
      case Kind::kAttribute: return Member(first, e.name);
      case Kind::kNot: return Value::Of(!first.IsTrue());
      case Kind::kIsDefined: return Value::Of(!first.IsUndefined());
      case Kind::kIsNone: return Value::Of(first.IsNone());
      case Kind::kIsText: return Value::Of(first.AsText() != nullptr);
      case Kind::kRaise: return Refused(first.Printed().bytes.substr(0, 200));
      default: break;
    }
    ATOLL_ASSIGN_OR_RETURN(const Value second, Evaluate(e.operands[1]));
    switch (e.kind) {
      case Kind::kSubscript: return Subscript(first, second);
      case Kind::kSplit: return Split(first, second, e);
      case Kind::kEqual: return Value::Of(first.Equals(second));
      case Kind::kNotEqual: return Value::Of(!first.Equals(second));
      case Kind::kIn: return Contains(second, first, true);
      default: return Contains(second, first, false);
    }
  }

  // Python's "and" and "or" give the operand that decided.
  absl::StatusOr<Value> Joined(const Expression& e, bool deciding) {
    Value value;
    for (const Expression& operand : e.operands) {
      ATOLL_ASSIGN_OR_RETURN(value, Evaluate(operand));
      if (value.IsTrue() == deciding) break;
    }
    return value;
  }

  absl::StatusOr<Value> Conditional(const Expression& e) {
    ATOLL_ASSIGN_OR_RETURN(const Value condition, Evaluate(e.operands[1]));
    return Evaluate(e.operands[condition.IsTrue() ? 0 : 2]);
  }

  absl::StatusOr<Value> Namespace(const Expression& e) {
    Map members;
    for (size_t i = 0; i < e.operands.size(); ++i) {
      ATOLL_ASSIGN_OR_RETURN(Value value, Evaluate(e.operands[i]));
      Assign(members, e.names[i], std::move(value));
    }
    return Value::NewNamespace(std::move(members));
  }

  absl::StatusOr<Value> Concatenate(const Expression& e) {
    Text joined;
    for (const Expression& operand : e.operands) {
      ATOLL_ASSIGN_OR_RETURN(const Value value, Evaluate(operand));
      if (value.AsText() == nullptr) return Refused("expected texts to join, found " + TypeOf(value) + DescribedName(operand));
      ATOLL_RETURN_IF_ERROR(SpendBytes(value.AsText()->bytes.size()));
      joined.Append(*value.AsText());
    }
    return Value::Of(std::move(joined));
  }

  // " in message['content']": what a caller whose message lacks a field needs to know.
  static std::string DescribedName(const Expression& e) {
    if (e.kind == Expression::Kind::kVariable || e.kind == Expression::Kind::kAttribute) return " in " + e.name;
    if (e.kind != Expression::Kind::kSubscript || e.operands[1].kind != Expression::Kind::kLiteral) return {};
    return " in " + e.operands[1].value.Printed().bytes;
  }

  static absl::StatusOr<Value> Member(const Value& base, std::string_view name) {
    if (const Map* members = base.AsMap()) return ValueOfKey(*members, name);
    if (const Map* members = base.AsNamespace()) return ValueOfKey(*members, name);
    if (!base.IsUndefined()) return Value();
    return Refused(absl::StrCat("\"", std::string(name), "\" of something undefined"));
  }

  static absl::StatusOr<Value> Subscript(const Value& base, const Value& index) {
    if (const Text* key = index.AsText()) return Member(base, key->bytes);
    const List* list = base.AsList();
    if (list == nullptr || index.AsInteger() == nullptr) {
      return Refused("expected a list and an integer, or a map and a text, found " + TypeOf(base) + " and " + TypeOf(index));
    }
    const auto count = static_cast<int64_t>(list->size());
    const int64_t at = *index.AsInteger() < 0 ? *index.AsInteger() + count : *index.AsInteger();
    return at >= 0 && at < count ? (*list)[static_cast<size_t>(at)] : Value();
  }

  absl::StatusOr<Value> Split(const Value& base, const Value& separator, const Expression& e) {
    int64_t cuts_max = -1;
    if (e.operands.size() > 2) {
      ATOLL_ASSIGN_OR_RETURN(const Value limit, Evaluate(e.operands[2]));
      if (limit.AsInteger() == nullptr) return Refused("split: expected an integer, found " + TypeOf(limit));
      cuts_max = *limit.AsInteger();
    }
    if (base.AsText() == nullptr || separator.AsText() == nullptr || separator.AsText()->bytes.empty()) {
      return Refused("split: expected a text and a separator, found " + TypeOf(base) + " and " + TypeOf(separator));
    }
    const std::string& bytes = base.AsText()->bytes;
    ATOLL_RETURN_IF_ERROR(SpendBytes(bytes.size()));
    const std::string& between = separator.AsText()->bytes;
    List parts;
    size_t at = 0;
    for (size_t found = bytes.find(between); found != std::string::npos && cuts_max-- != 0; found = bytes.find(between, at)) {
      parts.push_back(Value::Of(base.AsText()->Part(at, found - at)));
      at = found + between.size();
    }
    parts.push_back(Value::Of(base.AsText()->Part(at, bytes.size() - at)));
    return Value::Of(std::move(parts));
  }

  static absl::StatusOr<Value> Contains(const Value& whole, const Value& part, bool wanted) {
    const Text* text = part.AsText();
    if (const List* list = whole.AsList()) {
      for (const Value& item : *list) {
        if (item.Equals(part)) return Value::Of(wanted);
      }
      return Value::Of(!wanted);
    }
    if (text != nullptr && whole.AsMap() != nullptr) {
      return Value::Of(ValueOfKey(*whole.AsMap(), text->bytes).IsUndefined() != wanted);
    }
    if (text != nullptr && whole.AsText() != nullptr) {
      return Value::Of((whole.AsText()->bytes.find(text->bytes) != std::string::npos) == wanted);
    }
    return Refused("in: expected a text or a list to look into, found " + TypeOf(whole));
  }

  const EvaluationLimits limits_;
  std::vector<Map> scopes_;  // the innermost last: the globals, then one of every loop that runs
  Text output_;
  int64_t steps_ = 0;
  size_t bytes_made_ = 0;
};

}  // namespace

absl::StatusOr<Text> Render(const Body& body, const Map& globals, const EvaluationLimits& limits) {
  Evaluator evaluator(globals, limits);
  ATOLL_RETURN_IF_ERROR(evaluator.Run(body));
  return evaluator.TakeOutput();
}

}  // namespace atoll::model::jinja
