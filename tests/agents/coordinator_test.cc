// Runs with a stand-in for the evaluator, and agents that are scripts.
#include "agents/run/coordinator.h"

#include <gtest/gtest.h>

#include <thread>

#include "agents/agents.h"
#include "agents/offline_agents.h"
#include "agents/run/channel.h"
#include "base/digest.h"
#include "base/files.h"

namespace assay {
namespace {

/// Answers come from a function; delivered on threads of their own.
class FakeAgent : public Agent {
 public:
  using Answer = std::function<Generation(const GenerationRequest&)>;
  explicit FakeAgent(Answer answer) : answer_(std::move(answer)) {}
  const std::string& name() const override { return name_; }
  std::string settings_json() const override { return "{}"; }
  void generate(GenerationRequest request, std::function<void(Generation)> done) override {
    ++calls;
    if (cancelled) {
      Generation ended;
      ended.failure.emplace().failure = FailureClass::cancelled;
      return done(ended);
    }
    done(answer_(request));
  }
  void cancel() override { cancelled = true; }

  std::atomic<int> calls = 0;
  std::atomic<bool> cancelled = false;

 private:
  Answer answer_;
  std::string name_ = "fake";
};

/// Code that contains "right" is correct. Keeps evaluations in the store, as the real one does.
class FakeJudge : public Judge {
 public:
  explicit FakeJudge(Store& store) : store_(store) {}
  Result<Judgement> judge(const Task& task, const std::string& answer,
                          const std::string& code) override {
    ++calls;
    Evaluation evaluation;
    evaluation.task_id = task.id;
    evaluation.code = code;
    evaluation.outcome = code.empty()                               ? Outcome::no_code
                         : code.find("broken") != std::string::npos ? Outcome::harness_error
                         : code.find("right") != std::string::npos  ? Outcome::correct
                                                                    : Outcome::wrong_output;
    EvaluationKey key;
    key.source_digest = sha256(answer);
    key.candidate = task.id + std::to_string(calls);
    ASSIGN_OR_RETURN(const int64_t id, store_.add(key, evaluation, "{}"));
    return Judgement{id, make_feedback(evaluation, std::nullopt), 0.5};
  }
  std::atomic<int> calls = 0;

 private:
  Store& store_;
};

Generation said(const std::string& code) {
  Generation generation;
  generation.answer.text = "Here:\n```cuda\nvoid solve() { " + code + " }\n```\n";
  generation.answer.finish = Finish::stop;
  generation.usage.input_uncached = 100;
  generation.usage.output_visible = 50;
  generation.cost_dollars = 0.25;
  generation.attempts.emplace_back().status = 200;
  return generation;
}

Generation failed(FailureClass failure) {
  Generation generation;
  generation.failure.emplace();
  generation.failure->failure = failure;
  generation.failure->message = "because";
  return generation;
}

class CoordinatorTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* id : {"one", "two", "three"}) {
      Task task;
      task.id = id;
      task.suite = "s";
      tasks_.push_back(task);
    }
    open();
  }
  void open() {
    store_.reset();
    store_ = *Store::open(folder_.path() / "run");
    runs_ = std::make_unique<RunStore>(*store_);
    judge_ = std::make_unique<FakeJudge>(*store_);
  }

  RunSummary run(Agent& agent, const std::string& loop_name = "single", int turns = 1,
                 const std::function<void(RunPlan&)>& change = {}) {
    LoopOptions options;
    options.turns = turns;
    const auto loop = *make_loop(loop_name, options);
    RunPlan plan;
    for (const Task& task : tasks_) plan.tasks.push_back(&task);
    plan.loop = loop.get();
    plan.prompts = &prompts_;
    plan.samples = 2;
    plan.judges = 2;
    plan.turns = turns;
    RunRow row;
    row.key = row.agent = "fake";
    plan.parts = {{&agent, *runs_->open_run(row)}};
    run_id_ = plan.parts[0].row.id;
    if (change) change(plan);
    Coordinator coordinator(std::move(plan), *runs_, *judge_);
    auto summary = coordinator.run();
    EXPECT_TRUE(summary.ok()) << summary.error().message;
    return *summary;
  }
  std::vector<SampleResult> results() { return *runs_->results(run_id_); }

  TemporaryFolder folder_ = *TemporaryFolder::create("coordinator");
  std::vector<Task> tasks_;
  PromptBook prompts_ = *PromptBook::load();
  std::unique_ptr<Store> store_;
  std::unique_ptr<RunStore> runs_;
  std::unique_ptr<FakeJudge> judge_;
  int64_t run_id_ = 0;
};

TEST_F(CoordinatorTest, JudgesEverySampleAndKeepsItsBytes) {
  FakeAgent agent([](const GenerationRequest& request) {
    return said(request.task->id == "two" ? "wrong" : "right");
  });
  const RunSummary summary = run(agent);
  EXPECT_EQ(summary.status.done, 6);
  EXPECT_EQ(summary.status.verdicts.at("correct"), 4);
  EXPECT_EQ(summary.status.verdicts.at("wrong_output"), 2);
  EXPECT_DOUBLE_EQ(summary.status.dollars, 1.5);
  ASSERT_EQ(results().size(), 6u);
  EXPECT_EQ(results()[0].tokens, 150);
  const auto turns = *runs_->turns(results()[0].sample_id);
  ASSERT_EQ(turns.size(), 1u);
  EXPECT_EQ(*store_->blob(turns[0].answer_digest), said("right").answer.text);
  EXPECT_NE(store_->blob(turns[0].prompt_digest)->find("You write GPU kernels"), std::string::npos);
  EXPECT_EQ(turns[0].extraction, "fenced_block");
}

TEST_F(CoordinatorTest, TheSameCommandAgainRepeatsNothing) {
  FakeAgent agent([](const GenerationRequest&) { return said("right"); });
  run(agent);
  open();
  const RunSummary again = run(agent);
  EXPECT_EQ(again.status.done, 6);
  EXPECT_EQ(agent.calls, 6);
  EXPECT_EQ(judge_->calls, 0);
}

TEST_F(CoordinatorTest, RefinesUntilTheTurnsAreUsedAndPicksTheBest) {
  FakeAgent agent(
      [](const GenerationRequest& request) { return said(request.turn == 1 ? "right" : "wrong"); });
  const RunSummary summary = run(agent, "refine", 3);
  EXPECT_EQ(agent.calls, 18);
  EXPECT_EQ(summary.status.verdicts.at("correct"), 6);
  EXPECT_EQ(results()[0].turns, 3);
  const auto turns = *runs_->turns(results()[0].sample_id);
  EXPECT_EQ(turns[2].parent, 1);
  EXPECT_NE(store_->blob(turns[2].prompt_digest)->find("Verdict: correct"), std::string::npos);
}

TEST_F(CoordinatorTest, OddAnswersAreOutcomesAndTheRunGoesOn) {
  FakeAgent agent([](const GenerationRequest& request) {
    Generation generation = said("right");
    if (request.task->id == "one") generation.answer.text = request.sample ? "" : "I will not.";
    if (request.task->id == "two")
      generation.answer.text = "```cuda\nvoid solve() { wrong }\n```\n" + generation.answer.text;
    if (request.task->id == "three")
      generation.answer.text = "```cuda\nvoid solve() {}" + std::string(5 << 20, ' ') + "\n```";
    return generation;
  });
  const RunSummary summary = run(agent);
  EXPECT_EQ(summary.status.done, 6);
  EXPECT_EQ(summary.status.verdicts.at("no_code"), 2);
  EXPECT_EQ(summary.status.verdicts.at("correct"), 2);  // of two blocks the last
  EXPECT_EQ(summary.status.verdicts.at("wrong_output"), 2);
}

TEST_F(CoordinatorTest, AsksForTheLanguageAndTakesItOfTwo) {
  FakeAgent agent([](const GenerationRequest& request) {
    EXPECT_EQ(request.language, Language::triton);
    EXPECT_NE(request.system.find("Triton"), std::string::npos);
    Generation generation = said("wrong");
    generation.answer.text =
        "```python\nimport triton\ndef solve():\n    right()\n```\n" + generation.answer.text;
    return generation;
  });
  const auto in_triton = [](RunPlan& plan) { plan.language = Language::triton; };
  EXPECT_EQ(run(agent, "single", 1, in_triton).status.verdicts.at("correct"), 6);
}

TEST_F(CoordinatorTest, InfrastructureTroubleIsNoVerdictAndIsTriedAgain) {
  bool down = true;
  FakeAgent agent([&](const GenerationRequest& request) {
    if (request.task->id == "one" && down) return failed(FailureClass::retry);
    if (request.task->id == "two") return failed(FailureClass::fail_sample);
    return said("right");
  });
  const RunSummary summary = run(agent);
  EXPECT_EQ(summary.status.failed, 4);
  EXPECT_EQ(summary.status.done, 2);
  for (const SampleResult& result : results()) {
    const char* expected = result.task_id == "one"   ? "infra"
                           : result.task_id == "two" ? "request_refused"
                                                     : "";
    EXPECT_EQ(result.failure_class, expected) << result.task_id;
  }
  down = false;
  open();
  agent.calls = 0;
  const RunSummary again = run(agent);
  EXPECT_EQ(again.status.done, 4);
  EXPECT_EQ(agent.calls, 2);  // a refused request is not sent again
}

TEST_F(CoordinatorTest, AConversationThatGrewTooLongEndsWithWhatItHas) {
  FakeAgent agent([](const GenerationRequest& request) {
    return request.turn == 2 ? failed(FailureClass::fail_sample)
                             : said(request.turn == 0 ? "right" : "wrong");
  });
  const RunSummary summary = run(agent, "refine", 4);
  EXPECT_EQ(summary.status.failed, 0);
  EXPECT_EQ(summary.status.verdicts.at("correct"), 6);
}

TEST_F(CoordinatorTest, AFatalFailureStopsThePartWithItsReason) {
  FakeAgent agent([](const GenerationRequest&) { return failed(FailureClass::fatal_run); });
  const RunSummary summary = run(agent);
  ASSERT_EQ(summary.stopped.size(), 1u);
  EXPECT_NE(summary.stopped[0].find("because"), std::string::npos);
  for (const SampleResult& result : results()) EXPECT_EQ(result.state, SampleState::running);
}

TEST_F(CoordinatorTest, StopsAtABudgetAndSaysWhichAndGoesOnLater) {
  FakeAgent agent([](const GenerationRequest&) { return said("right"); });
  RunSummary summary = run(agent, "single", 1, [](RunPlan& plan) {
    plan.budget = *Budget::parse("dollars=0.75");
    plan.generations = 1;
  });
  ASSERT_EQ(summary.stopped.size(), 1u);
  EXPECT_NE(summary.stopped[0].find("dollars: 0.75 of 0.75"), std::string::npos);
  EXPECT_EQ(summary.status.done, 3);
  summary = run(agent);
  EXPECT_EQ(summary.status.done, 6);
  EXPECT_EQ(agent.calls, 6);
}

TEST_F(CoordinatorTest, ATasksBudgetCountsWhatEarlierStartsUsed) {
  FakeAgent agent([](const GenerationRequest&) { return said("right"); });
  const auto limit = [&](const char* text) {
    return [text](RunPlan& plan) { plan.task_budget = *Budget::parse(text); };
  };
  RunSummary summary = run(agent, "single", 1, limit("samples=1"));
  EXPECT_EQ(summary.status.done, 3);
  ASSERT_EQ(summary.stopped.size(), 1u);
  EXPECT_NE(summary.stopped[0].find("task budget reached, samples: 1 of 1 of task one, and 2 more"),
            std::string::npos)
      << summary.stopped[0];
  run(agent, "single", 1, limit("tokens=150"));
  EXPECT_EQ(agent.calls, 3);  // 150 tokens were used before
  summary = run(agent, "single", 1, limit("samples=2"));
  EXPECT_EQ(summary.status.done, 6);
  EXPECT_TRUE(summary.stopped.empty());
}

TEST_F(CoordinatorTest, ABudgetOfDollarsStopsWhereCostsAreUnknown) {
  FakeAgent agent([](const GenerationRequest&) {
    Generation generation = said("right");
    generation.cost_dollars.reset();
    return generation;
  });
  const RunSummary summary = run(agent, "single", 1, [](RunPlan& plan) {
    plan.budget = *Budget::parse("dollars=5");
    plan.generations = 1;
  });
  ASSERT_EQ(summary.stopped.size(), 1u);
  EXPECT_NE(summary.stopped[0].find("--prices"), std::string::npos);
  EXPECT_LT(agent.calls, 6);
}

TEST_F(CoordinatorTest, AttemptsThatCameToNothingAreChargedToo) {
  FakeAgent agent([](const GenerationRequest&) {
    Generation generation = failed(FailureClass::retry);
    Attempt& attempt = generation.attempts.emplace_back();
    attempt.usage.output_visible = 40;
    attempt.cost_dollars = 0.5;
    return generation;
  });
  run(agent, "single", 1, [](RunPlan& plan) {
    plan.budget = *Budget::parse("dollars=1");
    plan.generations = 1;
  });
  EXPECT_EQ(agent.calls, 2);
  const auto spent = *runs_->spent(run_id_);
  double dollars = 0;
  for (const auto& [task, used] : spent) dollars += used.dollars;
  EXPECT_DOUBLE_EQ(dollars, 1);
}

TEST_F(CoordinatorTest, AnInterruptionStopsWithinSecondsAndNothingIsAskedTwice) {
  std::atomic<int> interrupts = 0;
  FakeAgent agent([&](const GenerationRequest& request) {
    if (request.turn == 1) interrupts = 1;
    return said("wrong");
  });
  const RunSummary summary = run(agent, "refine", 4, [&](RunPlan& plan) {
    plan.interrupts = &interrupts;
    plan.grace_seconds = 5;
  });
  EXPECT_TRUE(summary.interrupted);
  EXPECT_FALSE(summary.abandoned);
  EXPECT_LT(summary.status.elapsed_seconds, 5);
  open();
  agent.cancelled = false;
  const RunSummary again = run(agent, "refine", 4);
  EXPECT_EQ(again.status.done, 6);
  EXPECT_EQ(agent.calls, 24);
}

TEST_F(CoordinatorTest, HarnessErrorsAreReopenedByRetry) {
  FakeAgent agent([](const GenerationRequest& request) {
    return said(request.task->id == "one" ? "broken" : "right");
  });
  const RunSummary summary = run(agent);
  EXPECT_EQ(summary.status.failed, 2);
  EXPECT_EQ(*runs_->reopen(Outcome::harness_error), 2);
  const int asked = agent.calls;
  run(agent);
  EXPECT_EQ(agent.calls, asked);  // the answers are kept
}

TEST(AgentsTest, RunsACommandWithThePromptOnItsInput) {
  const auto agent = make_agent("cmd:echo \"$ASSAY_TASK/$ASSAY_LANGUAGE/$ASSAY_SAMPLE\"; cat", {});
  ASSERT_TRUE(agent.ok()) << agent.error().message;
  Task task;
  task.id = "t";
  GenerationRequest request;
  request.task = &task;
  request.sample = 3;
  request.system = "S";
  request.messages = {{Speaker::user, std::string(1 << 20, 'x')}};
  Channel<Generation> answers;
  (*agent)->generate(request, [&](Generation generation) { answers.push(generation); });
  const auto generation = answers.pop(30);
  ASSERT_TRUE(generation);
  ASSERT_FALSE(generation->failure) << generation->failure->message;
  EXPECT_EQ(generation->answer.text, "t/cuda/3\nS\n\n" + std::string(1 << 20, 'x'));
}

TEST(AgentsTest, ACommandThatFailsFailsItsSampleWithItsWords) {
  const auto agent = make_agent("cmd:echo out of ideas >&2; exit 3", {});
  Task task;
  GenerationRequest request;
  request.task = &task;
  Channel<Generation> answers;
  (*agent)->generate(request, [&](Generation generation) { answers.push(generation); });
  const auto generation = answers.pop(30);
  ASSERT_TRUE(generation && generation->failure);
  EXPECT_EQ(generation->failure->failure, FailureClass::fail_sample);
  EXPECT_NE(generation->failure->message.find("out of ideas"), std::string::npos);
}

TEST(AgentsTest, TakesFilesOfEitherLanguageAndAnswersAsTheyAre) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("files-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  for (const auto& [name, text] : {std::pair{"cuda.cu", "x"},
                                   {"triton.py", "x"},
                                   {"said.md", "x"},
                                   {"both.cu", "c"},
                                   {"both.py", "p"}})
    ASSERT_TRUE(write_file(folder / name, text).ok());
  const auto agent = make_agent("file:" + folder.string(), {});
  ASSERT_TRUE(agent.ok()) << agent.error().message;
  const auto answer = [&](const std::string& id, Language language = Language::cuda) {
    Task task;
    task.id = id;
    GenerationRequest request;
    request.task = &task;
    request.language = language;
    std::string text;
    (*agent)->generate(request, [&](Generation generation) {
      text = generation.failure ? generation.failure->message : generation.answer.text;
    });
    return text;
  };
  EXPECT_EQ(answer("cuda"), "```cuda\nx\n```\n");
  EXPECT_EQ(answer("triton"), "```python\nx\n```\n");
  EXPECT_EQ(answer("both"), "```cuda\nc\n```\n");
  EXPECT_EQ(answer("both", Language::triton), "```python\np\n```\n");
  EXPECT_EQ(answer("said"), "x");
  EXPECT_NE(answer("other").find("has no other.cu, .py, .md or .txt"), std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST(AgentsTest, NamesTheNearestAgent) {
  EXPECT_NE(make_agent("antropic:m", {}).error().message.find("anthropic"), std::string::npos);
  EXPECT_FALSE(make_agent("reference:best", {}).ok());
  EXPECT_FALSE(make_agent("file:/no/such/folder", {}).ok());
  EXPECT_FALSE(make_agent("cmd:", {}).ok());
  AgentOptions options;
  EXPECT_NE(make_agent("openai-compatible:m,bas_url=x", options).error().message.find("base_url"),
            std::string::npos);
}

}  // namespace
}  // namespace assay
