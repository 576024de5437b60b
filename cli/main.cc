// assay: evaluates GPU kernels. Dispatches to the commands, one file each.
#include <CLI/CLI.hpp>

#include "cli/commands.h"

int main(int argument_count, char** arguments) {
  CLI::App app{
      "assay evaluates GPU kernels: right or wrong, and how fast.\n"
      "Start with: assay demo"};
  app.name("assay");
  app.set_version_flag("--version", "assay 0.1.0");
  app.require_subcommand(1);
  app.footer(
      "Through the ./assay script also: ./assay build, ./assay test, ./assay format.\n"
      "Exit status: 0 done, 2 wrong usage, 3 trouble of assay's own.");
  int status = assay::kEvaluated;
  assay::add_demo_command(app, status);
  assay::add_eval_command(app, status);
  assay::add_new_command(app, status);
  assay::add_tasks_command(app, status);
  assay::add_calibrate_command(app, status);
  assay::add_prompt_command(app, status);
  assay::add_run_command(app, status);
  assay::add_runs_command(app, status);
  assay::add_show_command(app, status);
  assay::add_report_command(app, status);
  assay::add_compare_command(app, status);
  assay::add_power_command(app, status);
  assay::add_export_command(app, status);
  assay::add_retry_command(app, status);
  assay::add_retest_command(app, status);
  assay::add_rewards_command(app, status);
  assay::add_rescore_command(app, status);
  assay::add_serve_command(app, status);
  assay::add_exploits_command(app, status);
  assay::add_doctor_command(app, status);
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? assay::kEvaluated : assay::kUsage;
  }
  return status;
}
