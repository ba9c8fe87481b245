// Texts of our own, so that a load test needs no download.

#include "cli/load/plan/dataset.h"

namespace atoll::load {
namespace {

constexpr const char* kTexts[] = {
    "Once upon a time there was a little girl who lived near the forest.",
    "The king had three sons, and the youngest of them was called a simpleton, because he spoke little and listened much.",
    "Explain to a child of ten why the moon seems to change its shape in the course of a month.",
    "A lighthouse keeper wrote in his book every evening. On the first page of the last volume he noted that the lamp had burned "
    "for forty years without a night of rest, and that the sea had never once said thank you.",
    "Write a short letter to a neighbour who has lent you a ladder and would like to have it back before the weekend.",
    "def insertion_sort(values):\n    for i in range(1, len(values)):\n",
    "The old mill stood where two brooks met. In spring the water came down brown and loud, in summer one could walk across it "
    "with dry shoes, and in winter the wheel wore a beard of ice. The miller knew the weather from the sound of his wheel alone.",
    "List five things that one should check before crossing a mountain pass in October, with a reason for each.",
    "Question: A train leaves at nine and travels at eighty kilometres an hour. Another follows at ten at a hundred and twenty. "
    "When does the second overtake the first? Answer step by step.",
    "There was once a fisherman whose net came up empty for seven days. On the eighth day he caught a small silver fish, and the "
    "fish said:",
    "Summarise in two sentences: Bread is among the oldest prepared foods. Grain was first roasted and eaten as a paste; left to "
    "stand, the paste began to ferment, and what was baked from it turned out lighter and kept for longer. The trade of the baker "
    "is older than most towns that have one.",
    "In the harbour lay a ship without a name. Nobody had seen it come, and nobody had seen a sailor on its deck, yet every morning "
    "its ropes were dry and its lamps were filled.",
    "Translate into plain English: The aforementioned party shall, without undue delay, furnish evidence of the completed works.",
    "A fox and a crane agreed to share one garden. The fox wanted roses, the crane wanted reeds, and the garden wanted rain.",
    "What is the difference between a queue and a stack? Give one example from daily life for each.",
    "The clockmaker's daughter could hear when a clock told a lie. She had told nobody of it, for the whole town lived by clocks, "
    "and the largest one, on the tower, had been lying since she was five years old.",
    "int main(int argc, char** argv) {\n  // Print the arguments in reverse order.\n",
    "Once there were two brothers, one of whom was rich and the other poor. The rich one lent out money and measured it in bushels; "
    "the poor one lent out bushels and never measured anything.",
    "Describe the smell of a library to someone who has never been inside one.",
    "Dear diary, today the snow reached the window sill. We dug a path to the well and found the bucket frozen to its chain. Father "
    "laughed and said that now at last it would stay where one had put it.",
    "Give three reasons for and three reasons against keeping bees on the roof of a house in a city.",
    "Long before there were roads, the deer made paths through the hills, and the people followed the paths, and the paths became "
    "roads. That is why no road in our country is straight.",
    "A recipe for a soup for eight people, from what one finds in a cellar at the end of winter:",
    "The queen asked for a cloak that weighed nothing, kept out the wind and showed no seam. Three tailors came to the court. The "
    "first brought silk, the second brought fog in a box, and the third brought a needle and nothing else.",
};

}  // namespace

std::vector<Prompt> BuiltinTexts() {
  std::vector<Prompt> prompts;
  for (const char* text : kTexts) {
    Prompt prompt;
    prompt.input = cli::TextInput{text};
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace atoll::load
