// The commands of assay. A new command is one new file here and one line in main.cc's list.
#pragma once

#include <CLI/CLI.hpp>

namespace assay {

/// Exit statuses.
inline constexpr int kEvaluated = 0;     // done, whatever the verdicts
inline constexpr int kFound = 1;         // a suite of checks found something that must not be
inline constexpr int kUsage = 2;         // the command line or what it names is wrong
inline constexpr int kHarnessError = 3;  // trouble of ours

/// Each adds its subcommand to `app`; when that ran, `status` holds the exit status.
void add_calibrate_command(CLI::App& app, int& status);
void add_demo_command(CLI::App& app, int& status);
void add_doctor_command(CLI::App& app, int& status);
void add_eval_command(CLI::App& app, int& status);
void add_new_command(CLI::App& app, int& status);
void add_tasks_command(CLI::App& app, int& status);
void add_prompt_command(CLI::App& app, int& status);
void add_run_command(CLI::App& app, int& status);
void add_runs_command(CLI::App& app, int& status);
void add_show_command(CLI::App& app, int& status);
void add_report_command(CLI::App& app, int& status);
void add_compare_command(CLI::App& app, int& status);
void add_power_command(CLI::App& app, int& status);
void add_export_command(CLI::App& app, int& status);
void add_retry_command(CLI::App& app, int& status);
void add_retest_command(CLI::App& app, int& status);
void add_rewards_command(CLI::App& app, int& status);
void add_rescore_command(CLI::App& app, int& status);
void add_serve_command(CLI::App& app, int& status);
void add_exploits_command(CLI::App& app, int& status);

}  // namespace assay
