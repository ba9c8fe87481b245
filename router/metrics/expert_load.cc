#include "router/metrics/expert_load.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <functional>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "router/http/json/json_write.h"

namespace atoll::router {
namespace {

static_assert(std::endian::native == std::endian::little, "the .npy header says little endian");

void Subtract(std::vector<uint64_t>& from, const std::vector<uint64_t>& what) {
  for (size_t i = 0; i < std::min(from.size(), what.size()); ++i) from[i] -= std::min(from[i], what[i]);
}

uint64_t CountOf(const LayerCounts& counts, size_t expert, LoadPart part) {
  const auto at = [&](const std::vector<uint64_t>& rows) { return expert < rows.size() ? rows[expert] : 0; };
  return (part == LoadPart::kGenerated ? 0 : at(counts.prompt)) + (part == LoadPart::kPrompt ? 0 : at(counts.generated));
}

std::vector<uint64_t> Totals(const LayerCounts& counts) {
  std::vector<uint64_t> totals(std::max(counts.prompt.size(), counts.generated.size()));
  for (size_t i = 0; i < totals.size(); ++i) totals[i] = CountOf(counts, i, LoadPart::kAll);
  return totals;
}

double HottestRatio(std::vector<uint64_t> totals) {
  const uint64_t sum = std::accumulate(totals.begin(), totals.end(), uint64_t{0});
  if (sum == 0) return 0;
  const auto end = totals.begin() + static_cast<int64_t>(std::min(kHottest, totals.size()));
  std::partial_sort(totals.begin(), end, totals.end(), std::greater<>());
  return static_cast<double>(std::accumulate(totals.begin(), end, uint64_t{0})) / static_cast<double>(sum);
}

// [layers] the counts of each layer; null where there are none.
std::vector<const LayerCounts*> ByLayer(const LoadShape& shape, const std::vector<LayerCounts>& counts) {
  std::vector<const LayerCounts*> by_layer(shape.layers, nullptr);
  for (const LayerCounts& layer : counts) {
    if (layer.layer >= 0 && layer.layer < shape.layers) by_layer[layer.layer] = &layer;
  }
  return by_layer;
}

void AppendTable(const LoadShape& shape, const std::vector<const LayerCounts*>& by_layer, LoadPart part, std::string& out) {
  char digits[24];
  out += '[';
  for (const LayerCounts* const layer : by_layer) {
    out += out.back() == '[' ? "[" : ",[";
    for (int64_t e = 0; e < shape.experts; ++e) {
      if (e > 0) out += ',';
      out.append(digits, std::to_chars(digits, digits + sizeof digits, layer == nullptr ? 0 : CountOf(*layer, e, part)).ptr);
    }
    out += ']';
  }
  out += ']';
}

}  // namespace

std::vector<LayerCounts> CountsSince(std::vector<LayerCounts> now, const std::vector<LayerCounts>& before) {
  for (LayerCounts& layer : now) {
    const auto found = std::find_if(before.begin(), before.end(), [&](const LayerCounts& b) { return b.layer == layer.layer; });
    if (found == before.end()) continue;
    Subtract(layer.prompt, found->prompt);
    Subtract(layer.generated, found->generated);
  }
  return now;
}

std::vector<LayerEvenness> EvennessOf(const std::vector<LayerCounts>& counts, const model::Placement& placement) {
  std::vector<LayerEvenness> layers;
  for (const LayerCounts& layer : counts) {
    const std::vector<uint64_t> totals = Totals(layer);
    if (std::accumulate(totals.begin(), totals.end(), uint64_t{0}) < kRowsToJudge) continue;
    layers.push_back({.layer = layer.layer, .balancedness = 1 / ImbalanceOf(layer, placement), .hottest_ratio = HottestRatio(totals)});
  }
  return layers;
}

std::optional<double> MeanBalancedness(const std::vector<LayerEvenness>& layers) {
  if (layers.empty()) return std::nullopt;
  double sum = 0;
  for (const LayerEvenness& layer : layers) sum += layer.balancedness;
  return sum / static_cast<double>(layers.size());
}

std::string ExpertLoadJson(const LoadShape& shape, const std::vector<LayerCounts>& counts, const LoadFacts& facts) {
  const std::vector<const LayerCounts*> by_layer = ByLayer(shape, counts);
  std::string out = "{\"model\":";
  AppendJsonString(facts.model, out);
  absl::StrAppend(&out, ",\"epoch\":", facts.epoch, ",\"seconds\":", facts.seconds, ",\"layers\":", shape.layers, ",\"experts\":", shape.experts);
  const std::pair<const char*, LoadPart> tables[] = {
      {"logical_count", LoadPart::kAll}, {"prompt_count", LoadPart::kPrompt}, {"generated_count", LoadPart::kGenerated}};
  for (const auto& [name, part] : tables) {
    absl::StrAppend(&out, ",\"", name, "\":");
    AppendTable(shape, by_layer, part, out);
  }
  return out += "}\n";
}

std::string ExpertLoadNpy(const LoadShape& shape, const std::vector<LayerCounts>& counts, LoadPart part) {
  constexpr size_t kFixedBytes = 10, kAlignment = 64;  // magic, version and the length of what follows
  std::string header = absl::StrCat("{'descr': '<i8', 'fortran_order': False, 'shape': (", shape.layers, ", ", shape.experts, "), }");
  header.append(kAlignment - 1 - (kFixedBytes + header.size()) % kAlignment, ' ').append("\n");
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 0xFF);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  for (const LayerCounts* const layer : ByLayer(shape, counts)) {
    for (int64_t e = 0; e < shape.experts; ++e) {
      const uint64_t count = layer == nullptr ? 0 : CountOf(*layer, e, part);
      out.append(reinterpret_cast<const char*>(&count), sizeof count);
    }
  }
  return out;
}

}  // namespace atoll::router
