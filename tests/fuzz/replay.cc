// Runs a fuzz target on files, and on random changes of them, without libFuzzer: what CI does with
// any compiler. replay CHANGES FOLDER...: every file of the folders, each changed CHANGES times.
// Changes follow from a fixed seed, so that a failure comes again; the input that was being tried
// when the target failed is left in the current folder as failed-input.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::string current;

void keep_input(int signal) {
  if (FILE* file = std::fopen("failed-input", "wb")) {
    std::fwrite(current.data(), 1, current.size(), file);
    std::fclose(file);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void try_input(std::string input) {
  current = std::move(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(current.data()), current.size());
}

std::string changed(std::string text, const std::string& other, std::mt19937& random) {
  const auto below = [&](size_t bound) { return bound == 0 ? 0 : random() % bound; };
  for (size_t changes = 1 + below(4); changes > 0; --changes) {
    const size_t at = below(text.size() + 1);
    const size_t length = below(16);
    switch (random() % 5) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(below(text.size() + 1), length));
        break;
      case 3:
        text.insert(at, other.substr(below(other.size() + 1), 4 * length));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << random() % 8));
    }
  }
  return text;
}

}  // namespace

int main(int count, char** list) {
  if (count < 3) {
    std::fprintf(stderr, "usage: %s CHANGES FOLDER...\n", list[0]);
    return 2;
  }
  std::vector<std::string> inputs;
  for (int i = 2; i < count; ++i)
    for (const auto& entry : std::filesystem::directory_iterator(list[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  if (inputs.empty()) {
    std::fprintf(stderr, "no inputs\n");
    return 2;
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGILL, SIGFPE, SIGTRAP})
    std::signal(signal, keep_input);
  std::mt19937 random(1);
  const int changes = std::atoi(list[1]);
  for (const std::string& input : inputs) {
    try_input(input);
    for (int i = 0; i < changes; ++i)
      try_input(changed(input, inputs[random() % inputs.size()], random));
  }
  std::printf("%zu inputs, %d changes of each\n", inputs.size(), changes);
}
