// What the coordinator costs beside compiling and the device, and how large runs behave:
//   agents_benchmark [samples per task]      of 100 tasks, every answer from the cache
// and then a report over 100,000 evaluations. Prints CPU per sample, memory, times and sizes.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>

#include "agents/model/client.h"
#include "agents/run/coordinator.h"
#include "base/digest.h"
#include "base/files.h"
#include "reports/run_page.h"

namespace assay {
namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string answer(int number) {
  std::string code = fmt::format("// answer {}\nextern \"C\" void solve() {{\n", number);
  for (int i = 0; i < 80; ++i)
    code += fmt::format("  const int line_{} = {};  // and some text\n", i, i);
  return "Some words about it.\n```cuda\n" + code + "}\n```\n";
}

/// Stores a verdict without evaluating.
class StoringJudge : public Judge {
 public:
  explicit StoringJudge(Store& store) : store_(store) {}
  Result<Judgement> judge(const Task& task, const std::string& text,
                          const std::string& code) override {
    Evaluation evaluation;
    evaluation.task_id = task.id;
    evaluation.code = code;
    evaluation.outcome = text.size() % 3 ? Outcome::correct : Outcome::wrong_output;
    EvaluationKey key;
    key.task_digest = task.id;
    key.source_digest = sha256(text);
    ASSIGN_OR_RETURN(const auto known, store_.find(key));
    if (known) return Judgement{known->id, make_feedback(evaluation, std::nullopt), 0};
    ASSIGN_OR_RETURN(const int64_t id, store_.add(key, evaluation, "{}"));
    return Judgement{id, make_feedback(evaluation, std::nullopt), 0};
  }

 private:
  Store& store_;
};

Result<void> run(int samples, const std::filesystem::path& folder) {
  std::vector<Task> tasks(100);
  for (size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].id = fmt::format("task-{}", i);
    tasks[i].suite = "benchmark";
    tasks[i].level = static_cast<int>(i % 3) + 1;
    tasks[i].statement = std::string(2000, 's');
  }
  ASSIGN_OR_RETURN(const PromptBook prompts, PromptBook::load());
  ASSIGN_OR_RETURN(const auto loop, make_loop("single", {}));
  ModelConfig config;
  config.protocol = "openai-compatible";
  config.model = "m";
  config.base_url = "http://127.0.0.1:9/v1";  // nobody answers: only the cache does
  ClientOptions options;
  options.cache = std::make_shared<ResponseCache>(folder / "cache");
  options.retry.attempts = 1;
  const DeviceInfo device;
  for (const Task& task : tasks) {
    const PromptValues values = task_values(task, device, Language::cuda);
    const std::string body = compatible_protocol()
                                 .body(config, {prompts.render("system", values),
                                                {{Speaker::user, prompts.render("task", values)}},
                                                1,
                                                0})
                                 .dump();
    for (int sample = 0; sample < samples; ++sample) {
      CachedAnswer cached;
      cached.answer.text = answer(sample);
      cached.answer.finish = Finish::stop;
      options.cache->put(ResponseCache::key("openai-compatible", compatible_protocol().url(config),
                                            body, fmt::format("{}/{}/0", task.id, sample)),
                         cached);
    }
  }
  ASSIGN_OR_RETURN(const auto client,
                   ModelClient::create(std::make_shared<HttpLoop>(), config, options));
  ASSIGN_OR_RETURN(const auto store, Store::open(folder / "run"));
  RunStore runs(*store);
  StoringJudge judge(*store);
  RunPlan plan;
  for (const Task& task : tasks) plan.tasks.push_back(&task);
  plan.loop = loop.get();
  plan.prompts = &prompts;
  plan.device = device;
  plan.samples = samples;
  plan.judges = 2;
  RunRow row;
  row.key = "benchmark";
  row.agent = client->name();
  ASSIGN_OR_RETURN(row, runs.open_run(row));
  plan.parts = {{client.get(), row}};
  const double cpu = cpu_seconds(), wall = wall_seconds();
  Coordinator coordinator(std::move(plan), runs, judge);
  ASSIGN_OR_RETURN(const RunSummary summary, coordinator.run());
  fmt::print(
      "{} samples ({} failed): {:.2f} ms of CPU and {:.2f} ms of wall time each, at most {:.0f} "
      "MB\n",
      summary.status.done, summary.status.failed,
      1000 * (cpu_seconds() - cpu) / summary.status.done,
      1000 * (wall_seconds() - wall) / summary.status.done, memory_mb());
  return {};
}

/// A store with this many samples, written directly.
Result<void> fill(const std::filesystem::path& folder, int samples) {
  ASSIGN_OR_RETURN(const auto store, Store::open(folder));
  RunStore runs(*store);
  RunRow row;
  row.key = row.agent = "model";
  row.suite = "benchmark";
  ASSIGN_OR_RETURN(row, runs.open_run(row));
  ASSIGN_OR_RETURN(const std::string blob, store->put_blob("{}"));
  for (int i = 0; i < samples; ++i) {
    SampleRow sample;
    sample.run_id = row.id;
    sample.task_id = fmt::format("task-{}", i % 100);
    sample.level = i % 3 + 1;
    sample.number = i / 100;
    ASSIGN_OR_RETURN(sample, runs.open_sample(sample));
    Evaluation evaluation;
    evaluation.task_id = sample.task_id;
    evaluation.outcome = i % 3 ? Outcome::correct : Outcome::wrong_output;
    evaluation.explanation = i % 3 ? "" : "case tiny: 5 of 5 elements of c are wrong";
    evaluation.code = answer(i % 5000);
    if (evaluation.outcome == Outcome::correct) {
      CaseTiming& timing = evaluation.cases.emplace_back().timing.emplace();
      timing.speedup = {1.0 + i % 7, {0.9 + i % 7, 1.1 + i % 7}};
      timing.expert = Speedup{4, {3.9, 4.1}};
      timing.processes.emplace_back().candidate.median_us = 10;
    } else {
      evaluation.diagnostics = {{Diagnostic::Severity::warning, 3, 7, "variable was never used"}};
    }
    EvaluationKey key;
    key.candidate = std::to_string(i);
    TurnRow turn;
    turn.sample_id = sample.id;
    turn.kind = "draft";
    turn.prompt_digest = turn.answer_digest = turn.feedback_digest = blob;
    turn.tokens = 1000;
    turn.cost_dollars = 0.01;
    RETURN_IF_ERROR(runs.add_turn(turn, {}));
    ASSIGN_OR_RETURN(turn.evaluation_id, store->add(key, evaluation, "{}"));
    turn.outcome = name(evaluation.outcome);
    RETURN_IF_ERROR(runs.set_judged(turn));
    sample.state = SampleState::done;
    sample.best_turn_id = turn.id;
    RETURN_IF_ERROR(runs.update_sample(sample));
  }
  return {};
}

Result<void> report(const std::filesystem::path& folder) {
  const double start = wall_seconds();
  ASSIGN_OR_RETURN(const ReportData data, load_report({folder}));
  const double loaded = wall_seconds();
  const auto rows = report_rows(data, {1, 10});
  const double computed = wall_seconds();
  ASSIGN_OR_RETURN(const std::string page, run_page(data, rows, {}));
  const double written = wall_seconds();
  RETURN_IF_ERROR(write_file(folder / "report.html", page));
  fmt::print("report: {} samples, read {:.2f} s, statistics {:.2f} s, page {:.2f} s, {:.1f} MB\n",
             data.runs[0].samples.size(), loaded - start, computed - loaded, written - computed,
             static_cast<double>(page.size()) / 1e6);
  return {};
}

}  // namespace
}  // namespace assay

int main(int count, char** arguments) {
  const int samples = count > 1 ? std::atoi(arguments[1]) : 100;
  const int evaluations = count > 2 ? std::atoi(arguments[2]) : 100'000;
  auto folder = assay::TemporaryFolder::create("agents-benchmark");
  if (!folder.ok()) return 1;
  for (const auto& step :
       {std::function([&] { return assay::run(samples, folder->path()); }),
        std::function([&] { return assay::fill(folder->path() / "large", evaluations); }),
        std::function([&] { return assay::report(folder->path() / "large"); })})
    if (const auto done = step(); !done.ok()) {
      fmt::print(stderr, "{}\n", done.error().message);
      return 1;
    }
}
