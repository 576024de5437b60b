#include "evaluator/runner/messages.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "tests/runner/doubling_job.h"

namespace assay {
namespace {

using nlohmann::json;

/// As the other side of a socket gets it.
json sent(const json& message) { return json::from_cbor(json::to_cbor(message)); }

std::string any_text() { return presentable(*rc::gen::arbitrary<std::string>()); }
uint64_t any_count() { return *rc::gen::arbitrary<uint64_t>(); }
uint32_t any_small_count() { return *rc::gen::arbitrary<uint32_t>(); }
double any_number() {
  return *rc::gen::suchThat(rc::gen::arbitrary<double>(),
                            [](double x) { return std::isfinite(x); });
}
template <typename Make>
auto any_list(const Make& make) {
  std::vector<decltype(make())> list(*rc::gen::inRange<size_t>(0, 4));
  for (auto& item : list) item = make();
  return list;
}
std::map<std::string, std::string> any_tensors() {
  std::map<std::string, std::string> tensors;
  for (const std::string& name : any_list(any_text))
    tensors[name] = *rc::gen::arbitrary<std::string>();
  return tensors;
}

std::optional<ElementError> any_element() {
  if (*rc::gen::arbitrary<bool>()) return std::nullopt;
  return ElementError{any_count(), any_number(), any_number()};
}

TensorComparison any_comparison() {
  Comparison comparison;
  comparison.elements = any_count();
  comparison.mismatches = any_count();
  comparison.nonfinite_mismatches = any_count();
  comparison.first = any_element();
  comparison.worst = any_element();
  comparison.max_absolute = any_number();
  comparison.max_bound_ratio = any_number();
  comparison.rel_frobenius = any_number();
  comparison.frobenius_exceeded = *rc::gen::arbitrary<bool>();
  return {any_text(), comparison};
}

LaunchStatistics any_launch() {
  return {any_text(),  any_count(), any_count(), any_count(),
          any_count(), any_count(), any_count(), any_number()};
}

CheckReport any_report() {
  CheckReport report;
  report.outcome = static_cast<Outcome>(*rc::gen::inRange(0, 12));
  report.reason = any_text();
  report.explanation = any_text();
  report.comparisons = any_list(any_comparison);
  report.launches = any_list(any_launch);
  report.notes = any_list(any_text);
  report.printed = any_text();
  report.source_line = any_small_count();
  report.candidate_ms = any_number();
  report.check_ms = any_number();
  report.outputs = any_tensors();
  report.inputs = any_tensors();
  report.expected = any_tensors();
  return report;
}

auto fields(const std::optional<ElementError>& element) {
  const ElementError error = element.value_or(ElementError{});
  return std::tuple(element.has_value(), error.index, error.absolute, error.relative);
}

auto fields(const TensorComparison& tensor) {
  const Comparison& c = tensor.comparison;
  return std::tuple(tensor.tensor, c.elements, c.mismatches, c.nonfinite_mismatches,
                    fields(c.first), fields(c.worst), c.max_absolute, c.max_bound_ratio,
                    c.rel_frobenius, c.frobenius_exceeded);
}

auto fields(const LaunchStatistics& l) {
  return std::tuple(l.kernel, l.lane_instructions, l.warp_instructions, l.global_load_sectors,
                    l.global_store_sectors, l.shared_bank_conflicts, l.uninitialised_shared_reads,
                    l.elapsed_ms);
}

template <typename Item>
bool same(const std::vector<Item>& a, const std::vector<Item>& b) {
  return std::ranges::equal(a, b,
                            [](const auto& x, const auto& y) { return fields(x) == fields(y); });
}

TEST(Messages, AReportSurvivesTheWay) {
  EXPECT_TRUE(rc::check([] {
    const CheckReport a = any_report();
    const Result<CheckReport> b = parse_report(sent(report_message(a)));
    RC_ASSERT(b.ok());
    RC_ASSERT(std::tie(a.outcome, a.reason, a.explanation, a.notes, a.printed, a.source_line,
                       a.candidate_ms, a.check_ms, a.outputs, a.inputs, a.expected) ==
              std::tie(b->outcome, b->reason, b->explanation, b->notes, b->printed, b->source_line,
                       b->candidate_ms, b->check_ms, b->outputs, b->inputs, b->expected));
    RC_ASSERT(same(a.comparisons, b->comparisons));
    RC_ASSERT(same(a.launches, b->launches));
  }));
}

TEST(Messages, AnArtifactSurvivesTheWay) {
  EXPECT_TRUE(rc::check([] {
    Artifact a;
    a.key = any_text();
    a.arch = any_text();
    a.ptx = *rc::gen::arbitrary<std::string>();
    a.cubin = *rc::gen::arbitrary<std::string>();
    a.kernels = any_list([] {
      Kernel kernel;
      kernel.name = any_text();
      kernel.demangled = any_text();
      kernel.static_shared_bytes = any_small_count();
      kernel.max_threads = any_small_count();
      kernel.parameters = any_list([] {
        return KernelParameter{any_small_count(), any_small_count(), any_small_count()};
      });
      return kernel;
    });
    a.variables = any_list([] {
      return ModuleVariable{any_text(), any_count(), *rc::gen::arbitrary<bool>()};
    });
    const Result<Artifact> b = parse_artifact(sent(artifact_message(a)));
    RC_ASSERT(b.ok());
    RC_ASSERT(std::tie(a.key, a.arch, a.ptx, a.cubin) ==
              std::tie(b->key, b->arch, b->ptx, b->cubin));
    RC_ASSERT(std::ranges::equal(a.variables, b->variables, [](const auto& x, const auto& y) {
      return std::tie(x.name, x.bytes, x.constant) == std::tie(y.name, y.bytes, y.constant);
    }));
    RC_ASSERT(std::ranges::equal(a.kernels, b->kernels, [](const Kernel& x, const Kernel& y) {
      return std::tie(x.name, x.demangled, x.static_shared_bytes, x.max_threads) ==
                 std::tie(y.name, y.demangled, y.static_shared_bytes, y.max_threads) &&
             std::ranges::equal(x.parameters, y.parameters, [](const auto& p, const auto& q) {
               return std::tie(p.offset, p.bytes, p.alignment) ==
                      std::tie(q.offset, q.bytes, q.alignment);
             });
    }));
  }));
}

TEST(Messages, AJobSurvivesTheWay) {
  EXPECT_TRUE(rc::check([] {
    DoublingJob a;
    a.job.seed = any_count();
    a.job.repeats = *rc::gen::inRange(1, 100);
    a.job.run.instruction_budget = any_count();
    a.job.run.deadline_seconds = any_number();
    a.job.want_outputs = *rc::gen::arbitrary<bool>();
    a.job.want_expected = *rc::gen::arbitrary<bool>();
    a.job.bound.tensors[1].tolerance = {any_number(), any_number(), any_number()};
    a.job.candidate_plan.allocations = {{Allocation::Kind::argument, 0, "", 4000},
                                        {Allocation::Kind::scratch, 0, "", any_small_count()}};
    Launch launch;
    launch.kernel = "k";
    launch.parameters = std::string(16, '\7');
    launch.relocations = {{8, {0, 4}}};
    a.job.candidate_plan.operations = {{launch, {}, 0}};
    a.job.reference_plan.allocations = {{Allocation::Kind::argument, 1, "", 4000}};
    a.job.bound.evidence = {a.job.bound.tensors[1]};
    a.job.bound.evidence[0].name = "evidence";
    a.job.bound.tensors[1].tolerance.atol = std::numeric_limits<double>::infinity();
    a.job.evidence = {&a.reference, a.job.candidate_plan};
    const json message = sent(job_message(a.job));
    const Result<CheckJob> b = parse_job(message);
    RC_ASSERT(b.ok());
    RC_ASSERT(message.at("candidate") == "doubles");
    RC_ASSERT(message.at("reference") == "reference");
    RC_ASSERT(message.at("evidence") == "reference");
    RC_ASSERT(a.job.evidence.plan == b->evidence.plan);
    RC_ASSERT(json(a.job.bound) == json(b->bound));
    RC_ASSERT(a.job.candidate_plan == b->candidate_plan);
    RC_ASSERT(a.job.reference_plan == b->reference_plan);
    RC_ASSERT(std::tie(a.job.seed, a.job.repeats, a.job.run.instruction_budget,
                       a.job.run.deadline_seconds, a.job.want_outputs, a.job.want_expected) ==
              std::tie(b->seed, b->repeats, b->run.instruction_budget, b->run.deadline_seconds,
                       b->want_outputs, b->want_expected));
  }));
}

TEST(Messages, AnErrorSurvivesTheWay) {
  const auto error = error_in(sent(error_message({ErrorKind::unsupported, "no frob.b32"})));
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->kind, ErrorKind::unsupported);
  EXPECT_EQ(error->message, "no frob.b32");
  EXPECT_FALSE(error_in({{"report", 1}}).has_value());
}

TEST(Messages, AnErrorOfAnotherFormIsAnErrorStill) {
  for (const json& error : {json(3), json::object(), json{{"kind", 99}, {"message", "x"}},
                            json{{"kind", 1}, {"message", 7}}, json{{"kind", -1}}})
    EXPECT_TRUE(error_in({{"error", error}}).has_value()) << error;
}

TEST(Messages, AReportWithAnyFieldMissingOrOfAnotherTypeIsRefused) {
  CheckReport report;
  report.comparisons.push_back({"y", {}});
  report.launches.emplace_back();
  const json message = report_message(report);
  ASSERT_TRUE(parse_report(message).ok());
  for (const auto& [key, value] : message.items()) {
    json without = message, other = message;
    without.erase(key);
    other[key] = value.is_object() ? json(1) : json::object({{"a", 1}});
    EXPECT_FALSE(parse_report(without).ok()) << key;
    EXPECT_FALSE(parse_report(other).ok()) << key;
  }
  for (const auto& [key, value] : message.at("comparisons")[0].items()) {
    json other = message;
    other["comparisons"][0][key] = json::array({"a"});
    EXPECT_FALSE(parse_report(other).ok()) << key;
  }
}

TEST(Messages, NumbersThatAreNotFiniteAndCountsThatAreNoneAreRefused) {
  CheckReport report;
  report.comparisons.push_back({"y", {}});
  const json good = report_message(report);
  json bad = good;
  for (const double number : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    bad["comparisons"][0]["max_absolute"] = number;
    EXPECT_FALSE(parse_report(bad).ok());
  }
  for (const json& count : {json(-1), json(1e30), json("7"), json(uint64_t{1} << 32)}) {
    bad = good;
    bad["source_line"] = count;
    EXPECT_FALSE(parse_report(bad).ok()) << count;
  }
}

TEST(Messages, TextsAreFitToBeShown) {
  EXPECT_EQ(presentable("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(presentable("\x1b[2J\r\x7f"), "?[2J??");
  EXPECT_EQ(presentable("Gr\xc3\xbc\xc3\x9f\x65"), "Gr\xc3\xbc\xc3\x9f\x65");
  EXPECT_EQ(presentable("bad \xff byte"), "bad \xef\xbf\xbd byte");
  EXPECT_EQ(presentable(std::string(5'000'000, 'x')).size(), size_t{1} << 20);
  EXPECT_TRUE(rc::check([](const std::string& text) {
    const std::string once = presentable(text);
    RC_ASSERT(presentable(once) == once);
    RC_ASSERT(json::parse(json(once).dump()) == once);
  }));
}

}  // namespace
}  // namespace assay
