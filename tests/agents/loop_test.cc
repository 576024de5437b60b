#include "agents/loop/loop.h"

#include <gtest/gtest.h>

#include <set>

#include "agents/feedback.h"
#include "agents/run/budget.h"
#include "base/files.h"

namespace assay {
namespace {

class LoopTest : public testing::Test {
 protected:
  void SetUp() override {
    episode_.prompts = &prompts_;
    for (const char* key : {"id", "title", "statement", "signature", "tensors", "scalars",
                            "tolerance", "cases", "device", "language", "ending", "cuda", "triton"})
      episode_.values[key] = std::string("<") + key + ">";
    episode_.values["fence"] = "cuda";
  }

  static std::unique_ptr<Loop> loop(const std::string& name, LoopOptions options) {
    return *make_loop(name, options);
  }

  /// Adds the turn that a proposal asks for, answered and judged.
  void answer(const Proposal& proposal, Outcome outcome, std::optional<double> speedup = {},
              bool done = true) {
    Turn turn;
    turn.parent = proposal.parent;
    turn.kind = proposal.kind;
    turn.island = proposal.island;
    turn.wants_code = proposal.wants_code;
    turn.done = done;
    turn.text = "said " + std::to_string(episode_.turns.size());
    if (turn.wants_code) turn.code = "code " + std::to_string(episode_.turns.size());
    turn.outcome = outcome;
    turn.speedup = speedup;
    turn.feedback = "feedback " + std::to_string(episode_.turns.size());
    episode_.turns.push_back(turn);
  }

  PromptBook prompts_ = *PromptBook::load();
  Episode episode_;
};

TEST_F(LoopTest, SingleAsksOnce) {
  const auto single = loop("single", {});
  const auto first = single->next(episode_);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_NE(first[0].messages[0].text.find("<statement>"), std::string::npos);
  answer(first[0], Outcome::wrong_output);
  EXPECT_TRUE(single->next(episode_).empty());
}

TEST_F(LoopTest, RefineKeepsCodeSummaryAndFeedbackOfEveryTurn) {
  LoopOptions options;
  options.turns = 3;
  const auto refine = loop("refine", options);
  answer(refine->next(episode_).at(0), Outcome::compile_error);
  answer(refine->next(episode_).at(0), Outcome::correct);
  const auto third = refine->next(episode_);
  ASSERT_EQ(third.size(), 1u);
  EXPECT_EQ(third[0].parent, 1);
  ASSERT_EQ(third[0].messages.size(), 5u);
  EXPECT_EQ(third[0].messages[1].speaker, Speaker::assistant);
  EXPECT_EQ(third[0].messages[1].text, "said 0\n\n```cuda\ncode 0\n```");
  EXPECT_NE(third[0].messages[4].text.find("feedback 1"), std::string::npos);
  answer(third[0], Outcome::correct);
  EXPECT_TRUE(refine->next(episode_).empty());
}

TEST_F(LoopTest, StopsAtTheFirstCorrectCandidateWhenAsked) {
  LoopOptions options;
  options.turns = 3;
  options.stop_when_correct = true;
  const auto refine = loop("refine", options);
  answer(refine->next(episode_).at(0), Outcome::correct);
  EXPECT_TRUE(refine->next(episode_).empty());
}

TEST_F(LoopTest, ReflectAsksWhyBeforeItAsksAgain) {
  LoopOptions options;
  options.turns = 2;
  const auto reflect = loop("reflect", options);
  answer(reflect->next(episode_).at(0), Outcome::wrong_output);
  const Proposal why = reflect->next(episode_).at(0);
  EXPECT_EQ(why.kind, "reflect");
  EXPECT_FALSE(why.wants_code);
  EXPECT_NE(why.messages[0].text.find("feedback 0"), std::string::npos);
  answer(why, Outcome::harness_error);
  const Proposal again = reflect->next(episode_).at(0);
  EXPECT_TRUE(again.wants_code);
  EXPECT_NE(again.messages[0].text.find("code 0"), std::string::npos);
  EXPECT_NE(again.messages[0].text.find("said 1"), std::string::npos);
  answer(again, Outcome::wrong_output);
  EXPECT_TRUE(reflect->next(episode_).empty());
}

TEST_F(LoopTest, TreeDraftsThenRepairsOrImprovesTheBest) {
  LoopOptions options;
  options.turns = 60;
  const auto tree = loop("tree", options);
  for (int i = 0; i < 5; ++i) {
    const Proposal draft = tree->next(episode_).at(0);
    EXPECT_EQ(draft.kind, "draft");
    answer(draft, i == 2 ? Outcome::correct : Outcome::wrong_output, i == 2 ? 2.0 : 0.0);
  }
  std::set<std::string> kinds;
  for (int i = 0; i < 40; ++i) {
    const Proposal next = tree->next(episode_).at(0);
    kinds.insert(next.kind);
    EXPECT_TRUE(next.kind != "improve" || next.parent == 2);
    answer(next, Outcome::wrong_output);
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"debug", "improve"}));
  for (size_t i = 0; i < episode_.turns.size(); ++i) {
    int repairs = 0;
    for (int at = static_cast<int>(i); at >= 0 && episode_.turns[at].kind == "debug";
         at = episode_.turns[at].parent)
      ++repairs;
    EXPECT_LE(repairs, options.debug_depth);
  }
}

TEST_F(LoopTest, TheSameTurnsLeadToTheSameProposal) {
  LoopOptions options;
  options.turns = 60;
  for (const char* name : {"tree", "evolve"}) {
    episode_.turns.clear();
    for (int i = 0; i < 12; ++i) {
      const auto one = loop(name, options)->next(episode_);
      const auto other = loop(name, options)->next(episode_);
      ASSERT_EQ(one.size(), other.size());
      EXPECT_EQ(one.at(0).parent, other.at(0).parent);
      EXPECT_EQ(one.at(0).messages[0].text, other.at(0).messages[0].text);
      for (const Proposal& proposal : one)
        answer(proposal, i % 3 ? Outcome::wrong_output : Outcome::correct, 1.0 + i);
    }
  }
}

TEST_F(LoopTest, EvolveKeepsEveryIslandBusyAndShowsTheArchive) {
  LoopOptions options;
  options.turns = 12;
  options.islands = 3;
  const auto evolve = loop("evolve", options);
  const auto first = evolve->next(episode_);
  ASSERT_EQ(first.size(), 3u);
  answer(first[0], Outcome::correct, 3.0);
  answer(first[1], Outcome::wrong_output);
  answer(first[2], Outcome::correct, 1.0, false);  // still in flight
  const auto second = evolve->next(episode_);
  ASSERT_EQ(second.size(), 2u);
  EXPECT_EQ(second[0].island, 0);
  EXPECT_EQ(second[1].island, 1);
  EXPECT_NE(second[1].messages[0].text.find("code 0"), std::string::npos);
  int turns = 3;
  episode_.turns[2].done = true;
  for (auto next = evolve->next(episode_); !next.empty(); next = evolve->next(episode_))
    for (const Proposal& proposal : next) {
      answer(proposal, Outcome::wrong_output);
      ++turns;
    }
  EXPECT_EQ(turns, 12);
}

TEST(LoopsTest, NamesTheNearestLoop) {
  const auto loop = make_loop("refien", {});
  ASSERT_FALSE(loop.ok());
  EXPECT_NE(loop.error().message.find("refine"), std::string::npos);
}

TEST(PromptTest, RendersValuesAndSections) {
  const PromptValues values = {{"a", "{{b}}"}, {"b", ""}, {"c", "x"}};
  EXPECT_EQ(*render("<{{a}}>{{#b}}hidden {{c}}{{/b}}{{#c}}shown{{/c}}", values, "f"),
            "<{{b}}>shown");
  EXPECT_NE(render("{{d}}", values, "f.txt").error().message.find("f.txt"), std::string::npos);
  EXPECT_FALSE(render("{{#c}}", values, "f").ok());
  EXPECT_FALSE(render("{{/c}}", values, "f").ok());
  EXPECT_FALSE(render("{{c", values, "f").ok());
}

TEST(PromptTest, EveryTemplateSpeaksOfTheLanguageThatIsAskedFor) {
  Task task;
  task.tensors.emplace_back().name = "x";
  task.statement = "Define\n\n```cuda\n" + task.signature() + ";\n```\n";
  const PromptBook book = *PromptBook::load();
  const std::map<Language, std::vector<std::string>> words = {
      {Language::cuda, {"CUDA", "```cuda", ".cu", "extern \"C\"", "cudaMalloc", "__global__"}},
      {Language::triton,
       {"Triton", "```python", ".py", "def solve(x):", "torch.empty", "@triton"}}};
  for (const auto& [language, own] : words) {
    PromptValues values = task_values(task, default_device_info("sm_90"), language);
    for (const char* more : {"code", "feedback", "reflection", "memory", "programs"})
      values[more] = more;
    std::string all;
    for (const char* name :
         {"system", "task", "refine", "reflect", "retry", "debug", "improve", "evolve"})
      all += book.render(name, values);
    for (const auto& [other, theirs] : words)
      for (const std::string& word : theirs)
        EXPECT_EQ(all.find(word) != std::string::npos, other == language)
            << word << ", asked for " << title(language);
  }
}

TEST(PromptTest, AUsersTemplateReplacesTheBuiltInOneAndAMisspeltNameIsAnError) {
  const auto folder = *TemporaryFolder::create("prompts");
  ASSERT_TRUE(write_file(folder.path() / "system.txt", "mine").ok());
  const auto book = PromptBook::load(folder.path());
  ASSERT_TRUE(book.ok()) << book.error().message;
  EXPECT_EQ(book->render("system", {}), "mine");
  EXPECT_NE(book->digest(), PromptBook::load()->digest());
  ASSERT_TRUE(write_file(folder.path() / "sistem.txt", "mine").ok());
  EXPECT_NE(PromptBook::load(folder.path()).error().message.find("system.txt"), std::string::npos);
}

TEST(FeedbackTest, NamesLinesAndCountsAndNoExpectedValues) {
  Evaluation evaluation;
  evaluation.outcome = Outcome::wrong_output;
  evaluation.reason = "mismatch";
  for (int i = 0; i < 3; ++i)
    evaluation.diagnostics.push_back({Diagnostic::Severity::error, 7, 1, "twice the same"});
  for (uint32_t i = 0; i < 15; ++i)
    evaluation.diagnostics.push_back({Diagnostic::Severity::error, 10 + i, 1, "unlike"});
  CaseResult result;
  result.name = "tiny";
  result.report.outcome = Outcome::wrong_output;
  Comparison comparison;
  comparison.elements = 100;
  comparison.mismatches = 4;
  comparison.first = ElementError{17, 0.5, 0.5};
  comparison.max_absolute = 0.5;
  comparison.max_bound_ratio = 500;
  result.report.comparisons = {{"c", comparison}};
  evaluation.cases = {result};
  Feedback feedback = make_feedback(evaluation, std::nullopt);
  feedback.turns_left = 3;
  EXPECT_EQ(feedback.notes.size(), 10u);
  EXPECT_EQ(feedback.notes_left_out, 6);
  const std::string text = render(feedback);
  EXPECT_NE(text.find("line 7: error: twice the same"), std::string::npos);
  EXPECT_NE(text.find("4 of 100 elements wrong, the first at index 17"), std::string::npos);
  EXPECT_NE(text.find("0 of 1 cases are right"), std::string::npos);
  EXPECT_NE(text.find("3 attempts are left"), std::string::npos);
  EXPECT_EQ(text.find("Speed"), std::string::npos);  // not measured is not told
  Speed speed;
  speed.speedup = 2;
  speed.interval = {1.9, 2.1};
  speed.speed_of_light = 0.5;
  EXPECT_NE(render(make_feedback(evaluation, speed)).find("50 % of the device's limit"),
            std::string::npos);
}

TEST(BudgetTest, ReadsEveryKindAndSaysWhichIsReached) {
  const auto budget = Budget::parse("turns=3,tokens=2e3,dollars=1.5,wall=2h,gpu=1m,samples=4");
  ASSERT_TRUE(budget.ok()) << budget.error().message;
  EXPECT_EQ(budget->wall_seconds, 7200);
  EXPECT_EQ(budget->device_seconds, 60);
  EXPECT_EQ(budget->reached({3, 2, 1999, 1.4, 59, 0}, 7199), "");
  EXPECT_EQ(budget->reached({0, 2, 2000, 0, 0, 0}, 0), "tokens: 2000 of 2000");
  EXPECT_EQ(budget->reached({0, 0, 0, 1.5, 0, 0}, 0), "dollars: 1.50 of 1.50");
  EXPECT_NE(budget->reached({}, 7200), "");
  EXPECT_FALSE(Budget::parse("turn=3").ok());
  EXPECT_FALSE(Budget::parse("turns=").ok());
  EXPECT_FALSE(Budget::parse("turns=3h").ok());
  EXPECT_FALSE(Budget::parse("dollars=nan").ok());
  EXPECT_TRUE(Budget::parse("").ok());
}

}  // namespace
}  // namespace assay
