#include "agents/model/capabilities.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agents/model/protocol.h"

namespace assay {
namespace {

ModelConfig config(const std::string& protocol, const std::string& model) {
  ModelConfig made;
  made.protocol = protocol;
  made.model = model;
  return made;
}

TEST(CapabilitiesTest, ATemperatureDoesNotGoWithABudgetOfThinking) {
  ModelConfig thinking = config("anthropic", "claude-sonnet-4-5-20250929");
  thinking.sampling.reasoning_budget = 2048;
  EXPECT_EQ(refused_by_model(thinking), "");
  thinking.sampling.temperature = 0.5;
  EXPECT_NE(refused_by_model(thinking).find("--reasoning-budget together with --temperature"),
            std::string::npos)
      << refused_by_model(thinking);
  thinking.sampling.reasoning_budget.reset();
  EXPECT_EQ(refused_by_model(thinking), "");
}

TEST(CapabilitiesTest, ModelsOfOneApiDiffer) {
  const auto refused = [](const std::string& model, auto&& change) {
    ModelConfig made = config("anthropic", model);
    change(made.sampling);
    return refused_by_model(made) != "";
  };
  const auto effort = [](Sampling& sampling) { sampling.reasoning_effort = "high"; };
  const auto budget = [](Sampling& sampling) { sampling.reasoning_budget = 4096; };
  const auto temperature = [](Sampling& sampling) { sampling.temperature = 1; };
  const auto both = [](Sampling& sampling) { sampling.temperature = sampling.top_p = 0.9; };
  EXPECT_TRUE(refused("claude-3-7-sonnet-20250219", effort));
  EXPECT_FALSE(refused("claude-3-7-sonnet-20250219", budget));
  EXPECT_FALSE(refused("claude-3-7-sonnet-20250219", both));
  EXPECT_FALSE(refused("claude-opus-4-5-20251101", effort));
  EXPECT_FALSE(refused("claude-opus-4-5-20251101", temperature));
  EXPECT_TRUE(refused("claude-opus-4-5-20251101", both));
  EXPECT_TRUE(refused("claude-opus-4-7", budget));
  EXPECT_TRUE(refused("claude-opus-4-7", temperature));
  EXPECT_FALSE(refused("claude-opus-4-7", effort));
  EXPECT_FALSE(refused("claude-of-tomorrow", both));
}

TEST(CapabilitiesTest, KnowsTheOtherVendorsAndLeavesCompatibleServersAlone) {
  ModelConfig chat = config("openai-chat", "o3-mini");
  chat.sampling.temperature = 0.7;
  EXPECT_NE(refused_by_model(chat), "");
  chat.protocol = "openai-responses";
  EXPECT_NE(refused_by_model(chat), "");
  chat.protocol = "openai-compatible";
  EXPECT_EQ(refused_by_model(chat), "");
  chat.protocol = "openai-chat";
  chat.model = "gpt-4.1";
  EXPECT_EQ(refused_by_model(chat), "");
  ModelConfig gemini = config("gemini", "gemini-3-pro");
  gemini.sampling.reasoning_effort = "low";
  EXPECT_EQ(refused_by_model(gemini), "");
  gemini.model = "gemini-2.5-pro";
  EXPECT_NE(refused_by_model(gemini), "");
}

TEST(CapabilitiesTest, AnEffortOfAnAdaptiveModelSwitchesItsThinkingOn) {
  ModelConfig model = config("anthropic", "claude-opus-4-7");
  model.sampling.reasoning_effort = "medium";
  const ModelRequest request{"", {{Speaker::user, "U"}}, 1, 0};
  EXPECT_EQ(anthropic_protocol().body(model, request)["thinking"]["type"], "adaptive");
  model.model = "claude-opus-4-5";
  EXPECT_FALSE(anthropic_protocol().body(model, request).contains("thinking"));
}

}  // namespace
}  // namespace assay
