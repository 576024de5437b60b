#include "server/protocols/candidate_text.h"

#include "agents/http/json.h"

namespace assay {

namespace {

constexpr std::string_view kEndTokens[] = {
    "<|im_end|>",    "<|endoftext|>",   "<|eot_id|>", "<|end|>", "</s>",   "<eos>",
    "<end_of_turn>", "<|end_of_text|>", "<|return|>", "<pad>",   "<|pad|>"};

}  // namespace

std::string response_of(std::string_view query, std::string_view prompt) {
  if (!prompt.empty() && query.starts_with(prompt)) query.remove_prefix(prompt.size());
  for (bool cut = true; cut;) {
    cut = false;
    while (!query.empty() && (query.back() == '\n' || query.back() == ' ')) query.remove_suffix(1);
    for (const std::string_view token : kEndTokens)
      if (query.ends_with(token)) {
        query.remove_suffix(token.size());
        cut = true;
      }
  }
  return std::string(query);
}

Label label_of(const std::string& text, const ServerRequest& request) {
  Label label;
  if (text.find('{') != std::string::npos) {
    if (const auto json = parse_json(text); json.ok()) {
      label.task_id = string_at(*json, {"task_id"});
      label.reward = string_at(*json, {"reward_spec"});
    }
  } else {
    label.task_id = text;
  }
  if (label.task_id.empty()) label.task_id = request.parameter("task");
  if (label.reward.empty()) label.reward = request.parameter("reward");
  return label;
}

}  // namespace assay
