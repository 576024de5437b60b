// What trainers send around a candidate: prompts, special tokens, labels.
#pragma once

#include <string>
#include <string_view>

#include "server/http/http.h"

namespace assay {

/// The response in a text that holds prompt and response: cuts the prompt off where it is a prefix,
/// and end-of-text tokens off the end. A prompt that was truncated from the left is no prefix; then
/// the whole text is returned, and the last fenced block in it is the candidate's.
std::string response_of(std::string_view query, std::string_view prompt);

/// Which task and reward a sample is for.
struct Label {
  std::string task_id;
  std::string reward;
};
/// A dataset's label: a JSON object as text with task_id and maybe reward_spec, or a bare task id;
/// what it lacks comes from the URL's query (task, reward).
Label label_of(const std::string& text, const ServerRequest& request);

}  // namespace assay
