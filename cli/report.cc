// assay report: runs as a table, as text or as one HTML page.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "reports/run_page.h"
#include "reports/table.h"

namespace assay {

namespace {

struct ReportArguments {
  std::vector<std::filesystem::path> folders;
  std::string format = "text";
  std::vector<int> ks = {1};
  std::string html;
  std::string title = "assay report";
};

Result<int> make_report(const ReportArguments& arguments) {
  ASSIGN_OR_RETURN(const ReportData data, load_report(arguments.folders));
  const std::vector<ReportRow> rows = report_rows(data, arguments.ks);
  ReportFormat format = ReportFormat::text;
  if (arguments.format == "markdown") format = ReportFormat::markdown;
  if (arguments.format == "csv") format = ReportFormat::csv;
  if (arguments.format == "json") format = ReportFormat::json;
  if (!arguments.html.empty()) {
    PageOptions options;
    options.title = arguments.title;
    ASSIGN_OR_RETURN(const std::string page, run_page(data, rows, options));
    RETURN_IF_ERROR(write_file(arguments.html, page));
    fmt::print("{}\n", arguments.html);
    return kEvaluated;
  }
  fmt::print("{}", report_text(data, rows, format, terminal_width(STDOUT_FILENO)));
  return kEvaluated;
}

}  // namespace

void add_report_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command =
      app.add_subcommand("report", "The result table of runs: success, speed, tokens, cost.");
  command->footer("docs/runs.md says how each number is computed.");
  command->add_option("folders", arguments->folders, "Run directories")->required();
  command->add_option("--format", arguments->format, "text, markdown, csv or json")
      ->check(CLI::IsMember({"text", "markdown", "csv", "json"}))
      ->capture_default_str();
  command->add_option("--k", arguments->ks, "The k of pass@k and fast_p@k")
      ->delimiter(',')
      ->check(CLI::Range(1, 100000));
  command->add_option("--html", arguments->html, "Write one self-contained HTML page here");
  command->add_option("--title", arguments->title, "Title of the page")->capture_default_str();
  command->callback([arguments, &status] {
    const Result<int> result = make_report(*arguments);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
