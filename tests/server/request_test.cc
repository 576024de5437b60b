// The seeds of tests/fuzz/request_fuzz.cc, whole and damaged.
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <random>
#include <set>

#include "base/install.h"
#include "tests/fuzz/request_run.h"

namespace assay {
namespace {

/// Cut off, with bytes changed, or with pieces doubled.
std::string damaged(std::string text, std::mt19937& random) {
  const auto below = [&](size_t bound) { return random() % std::max<size_t>(1, bound); };
  switch (below(4)) {
    case 0:
      text.resize(below(text.size() + 1));
      break;
    case 1:
      for (int i = 0; i < 3; ++i) text[below(text.size())] = static_cast<char>(random());
      break;
    case 2:
      text.insert(below(text.size()), text.substr(below(text.size()), 40));
      break;
    default: {  // another type where a string was
      const size_t quote = text.find('"', below(text.size()));
      if (quote != std::string::npos) text.replace(quote, 1, below(2) == 0 ? "[" : "7");
    }
  }
  return text;
}

/// "get /v1/tasks" and so on, of the API that the document describes.
std::set<std::string> documented(const nlohmann::json& document) {
  std::set<std::string> operations;
  for (const auto& [path, methods] : document["paths"].items())
    for (const auto& [method, operation] : methods.items()) operations.insert(method + " " + path);
  return operations;
}

std::set<std::string> routed(const Router& router) {
  std::set<std::string> operations;
  for (const Route& route : router.routes()) {
    const std::string& path = route.pattern;
    if (path.find('/', 1) != std::string::npos && !path.starts_with("/v1/")) continue;  // protocols
    if (path == "/nemo-gym" || path == "/kernelgym") continue;
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(std::tolower(c));
    operations.insert(method + " " + path);
  }
  return operations;
}

TEST(RequestTest, TheDocumentDescribesTheApiAndNothingElse) {
  RequestRunner runner;
  const auto document = nlohmann::json::parse(*read_file(*data_folder("server") / "openapi.json"));
  EXPECT_EQ(documented(document), routed(runner.router()));
}

TEST(RequestTest, SeedsAreAnsweredWholeAndDamaged) {
  RequestRunner runner;
  std::mt19937 random(7);
  size_t seeds = 0;
  for (const auto& file : std::filesystem::directory_iterator(ASSAY_REQUEST_SEEDS)) {
    const std::string seed = *read_file(file.path());
    EXPECT_TRUE(runner.run(seed)) << file.path();
    EXPECT_EQ(runner.last_status() == 404, file.path().filename() == "get") << file.path();
    EXPECT_NE(runner.last_status(), 400) << file.path();
    for (int i = 0; i < 60; ++i) {
      const std::string text = damaged(seed, random);
      ASSERT_TRUE(runner.run(text)) << text;
    }
    ++seeds;
  }
  EXPECT_GT(seeds, 10u);
}

}  // namespace
}  // namespace assay
