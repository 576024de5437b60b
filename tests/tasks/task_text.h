// A small valid task as text, and folders made of such texts.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/files.h"
#include "tasks/task.h"

namespace assay {

inline const std::string kTaskText = R"toml(id = "row-sum"
title = "Row sums"
source = "a test"
level = 1

[symbols]
total = "rows * cols"

[[tensor]]
name = "x"
direction = "in"
dtype = "f32"
shape = ["rows", "cols"]
fill = { kind = "normal", mean = 0, stddev = "1 / sqrt(cols)" }
description = "input"

[[tensor]]
name = "y"
direction = "out"
dtype = "f32"
shape = ["rows"]
description = "output"
tolerance = { atol = 0, rtol = 1e-5, rel_frobenius = 1e-6 }

[[scalar]]
name = "rows"
dtype = "i32"
value = "rows"
description = "rows of x"

[[scalar]]
name = "eps"
dtype = "f32"
value = 0.1
description = "a number"

[tolerance]
atol = 1e-6
rtol = 1e-5
reason = "why"

[work]
flops = "total"
bytes = "4 * total + 4 * rows"
unit = "fp32"

[[case]]
name = "tiny"
role = "test"
symbols = { rows = 3, cols = 17 }

[[case]]
name = "outliers"
role = "test"
symbols = { rows = 8, cols = 64 }
virtual = false
[case.fill]
x = { kind = "outliers", fraction = 0.01 }

[[case]]
name = "large"
role = "timed"
symbols = { rows = 4096, cols = 4096 }
)toml";

/// `text` with the first occurrence of `from` replaced; the test fails if there is none.
inline std::string changed(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

/// The valid task with one evidence, `error`, in place of the output's tolerance.
inline std::string evidence_task_text() {
  const std::string tolerance = "tolerance = { atol = 0, rtol = 1e-5, rel_frobenius = 1e-6 }\n";
  return changed(changed(kTaskText, tolerance, ""), "[tolerance]", R"toml([[evidence]]
name = "error"
dtype = "f32"
shape = ["rows"]
description = "error of each row"

[tolerance])toml");
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// Writes a task folder and returns it.
inline std::filesystem::path write_task(const std::filesystem::path& suite, const std::string& text,
                                        const std::string& id = "row-sum",
                                        const std::string& statement = "Sum the rows.\n") {
  write_text(suite / id / "task.toml", text);
  if (!statement.empty()) write_text(suite / id / "statement.md", statement);
  return suite / id;
}

}  // namespace assay
