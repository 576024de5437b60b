// Theory of operation
//
// Mutation testing with the faults that generated kernels have: a loop that begins late or ends
// early, a comparison that is off by one, a wrong sign, a sum kept in too few digits. Each rule is
// a regular expression that is tried on each line of code; each place where it matches gives one
// mutant. Nothing is parsed: a place that does not compile, or that changes nothing that can be
// seen, is sorted out by whoever runs the mutants. Comments, preprocessor lines and the host's
// solve are left alone.
#include "evaluator/kernel_mutants.h"

#include <algorithm>
#include <regex>
#include <sstream>

namespace assay {

namespace {

struct Rule {
  const char* fault;
  std::regex pattern;
  const char* replacement;
};

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> made;
    const auto add = [&](const char* fault, const char* pattern, const char* replacement) {
      made.push_back({fault, std::regex(pattern), replacement});
    };
    add("missing tail", R"((for \([^;]*; )(\w+) < ([^;&]+);)", "$1$2 < $3 - 1;");
    add("dropped term", R"((for \(int \w+ =) 0;)", "$1 1;");
    add("wrong boundary", R"((\bif \([^;]*[\w\])]) >= )", "$1 > ");
    add("wrong boundary", R"(([\w\])]) <= )", "$1 < ");
    add("off-by-one mask", R"(([\w\])]) \+ 1\b(?!\)\s*/))", "$1");
    add("wrong sign", R"(([\w\])]) - ([\w(]))", "$1 + $2");
    add("low-precision sum", R"((\w+) \+= ([^;]*[^;\s]);)",
        "$1 = __bfloat162float(__float2bfloat16(static_cast<float>($1 + ($2))));");
    return made;
  }();
  return all;
}

std::string trimmed(const std::string& line) {
  const size_t first = line.find_first_not_of(' ');
  return first == std::string::npos ? ""
                                    : line.substr(first, line.find_last_not_of(' ') - first + 1);
}

std::vector<std::string> lines_of(const std::string& source) {
  std::vector<std::string> lines;
  std::istringstream stream(source);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The source with one line replaced, and the header that roundings need on top.
std::string with_line(const std::vector<std::string>& lines, size_t index,
                      const std::string& line) {
  std::string source = "#include <cuda_bf16.h>\n";
  for (size_t i = 0; i < lines.size(); ++i) source += (i == index ? line : lines[i]) + "\n";
  return source;
}

bool is_code(const std::string& line) {
  const std::string text = trimmed(line);
  return !text.empty() && text[0] != '#' && !text.starts_with("//");
}

/// All mutants of one kind of fault, in the order of the source.
std::vector<KernelMutant> with_fault(const std::vector<std::string>& lines, const Rule& rule) {
  std::vector<KernelMutant> mutants;
  for (size_t i = 0; i < lines.size() && !lines[i].starts_with("extern \"C\""); ++i) {
    if (!is_code(lines[i])) continue;
    for (std::sregex_iterator at(lines[i].begin(), lines[i].end(), rule.pattern), end; at != end;
         ++at) {
      const std::string line = at->prefix().str() + at->format(rule.replacement) +
                               lines[i].substr(at->position() + at->length());
      if (line != lines[i])
        mutants.push_back(
            {rule.fault, static_cast<int>(i + 1), trimmed(line), with_line(lines, i, line)});
    }
  }
  return mutants;
}

}  // namespace

std::vector<KernelMutant> mutate_kernel(const std::string& source, size_t most) {
  const std::vector<std::string> lines = lines_of(source);
  std::vector<std::vector<KernelMutant>> kinds;
  size_t available = 0;
  for (const Rule& rule : rules()) {
    kinds.push_back(with_fault(lines, rule));
    available += kinds.back().size();
  }
  // One of each kind after the other, until enough are taken.
  std::vector<KernelMutant> chosen;
  for (size_t round = 0; chosen.size() < std::min(most, available); ++round)
    for (const auto& kind : kinds)
      if (round < kind.size() && chosen.size() < most) chosen.push_back(kind[round]);
  return chosen;
}

}  // namespace assay
