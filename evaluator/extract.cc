#include "evaluator/extract.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace assay {

namespace {

struct Block {
  std::string_view label;
  std::string_view code;
  bool terminated = true;
};

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// The answer after its last closed thinking block; an unclosed one hides everything after it.
std::string_view without_thinking(std::string_view answer) {
  size_t start = 0;
  for (const std::string_view tag : {"think", "thinking"}) {
    const std::string close = "</" + std::string(tag) + ">";
    if (const size_t end = answer.rfind(close); end != std::string_view::npos)
      start = std::max(start, end + close.size());
  }
  std::string_view rest = answer.substr(start);
  const std::string_view head = trimmed(rest);
  if (head.starts_with("<think>") || head.starts_with("<thinking>")) return rest.substr(0, 0);
  return rest;
}

/// The fence that opens at the start of this line ("```" or longer, or "~~~"), or nothing.
std::string_view fence_of(std::string_view line) {
  size_t indent = 0;
  while (indent < 3 && indent < line.size() && line[indent] == ' ') ++indent;
  line.remove_prefix(indent);
  for (const char mark : {'`', '~'}) {
    const size_t length = std::min(line.find_first_not_of(mark), line.size());
    if (length >= 3) return line.substr(0, length);
  }
  return {};
}

std::vector<Block> fenced_blocks(std::string_view text) {
  std::vector<Block> blocks;
  std::string_view open;
  size_t code_start = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const std::string_view fence = fence_of(line);
    const size_t next = std::min(end + 1, text.size());
    if (open.empty() && !fence.empty()) {
      open = fence;
      code_start = next;
      const size_t label_start = static_cast<size_t>(fence.data() + fence.size() - line.data());
      blocks.push_back({trimmed(line.substr(label_start)), text.substr(code_start), false});
    } else if (!open.empty() && fence.size() >= open.size() && fence[0] == open[0] &&
               trimmed(line) == fence) {
      blocks.back().code = text.substr(code_start, at - code_start);
      blocks.back().terminated = true;
      open = {};
    }
    at = end + 1;
  }
  return blocks;
}

/// What a block's label names, if it is a language of candidates.
std::optional<Language> language_of_label(std::string_view label) {
  static constexpr std::pair<std::string_view, Language> labels[] = {
      {"cuda", Language::cuda},    {"cu", Language::cuda},       {"cpp", Language::cuda},
      {"c++", Language::cuda},     {"c", Language::cuda},        {"CUDA", Language::cuda},
      {"C++", Language::cuda},     {"python", Language::triton}, {"py", Language::triton},
      {"triton", Language::triton}};
  for (const auto& [known, language] : labels)
    if (label == known) return language;
  return std::nullopt;
}

/// How much speaks for a block; of equal ones the last is taken.
int rank(const Block& block, std::optional<Language> wanted, std::string_view marker) {
  const bool marked = block.code.find(marker) != std::string_view::npos;
  const std::optional<Language> label = language_of_label(block.label);
  const bool fits =
      !wanted || (language_of(block.code) == *wanted && label.value_or(*wanted) == *wanted);
  return 4 * int{marked} + 2 * int{!marked && label} + int{fits};
}

const Block* best_block(const std::vector<Block>& blocks, std::optional<Language> wanted,
                        std::string_view marker) {
  const Block* best = nullptr;
  int highest = 0;
  for (const Block& block : blocks) {
    const int found = rank(block, wanted, marker);
    if (best && found < highest) continue;
    best = &block;
    highest = found;
  }
  return best;
}

bool looks_like_code(std::string_view text) {
  static constexpr std::string_view starts[] = {
      "#",      "//",        "/*",     "extern",    "template",   "__global__", "using ",
      "static", "namespace", "struct", "constexpr", "__device__", "@"};
  static constexpr std::string_view python_starts[] = {"import ", "from ", "def ", "\"\"\"", "'''"};
  const std::string_view head = trimmed(text);
  const auto begins = [head](std::string_view start) { return head.starts_with(start); };
  return std::ranges::any_of(starts, begins) ||
         (language_of(head) == Language::triton && std::ranges::any_of(python_starts, begins));
}

}  // namespace

Extraction extract_code(std::string_view answer, std::optional<Language> wanted,
                        std::string_view marker) {
  const std::string_view text = without_thinking(answer);
  const auto take = [&](std::string_view code, const char* how) {
    return Extraction{std::string(code), static_cast<size_t>(code.data() - answer.data()), how, ""};
  };
  const auto none = [](std::string why) { return Extraction{"", 0, "none", std::move(why)}; };
  const std::vector<Block> blocks = fenced_blocks(text);
  if (const Block* block = best_block(blocks, wanted, marker)) {
    if (trimmed(block->code).empty())
      return none("the answer's code block is empty; put the whole file into it");
    return take(block->code, block->terminated ? "fenced_block" : "unterminated_block");
  }
  if (text.find(marker) != std::string_view::npos && looks_like_code(text))
    return take(text, "whole_answer");
  return none(fmt::format(
      "the answer has no fenced code block and is not code itself; put the whole file into one "
      "block fenced with ```{}",
      wanted ? fence(*wanted) : "cuda or ```python"));
}

}  // namespace assay
