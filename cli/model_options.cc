#include "cli/model_options.h"

#include <nlohmann/json.hpp>

namespace assay {

namespace {

void add_sampling_options(CLI::App& command, Sampling& sampling) {
  command.add_option("--temperature", sampling.temperature, "Sampling temperature");
  command.add_option("--top-p", sampling.top_p, "Nucleus sampling");
  command.add_option("--seed", sampling.seed, "Seed for the model, plus the sample's number");
  command.add_option("--max-output", sampling.max_output_tokens, "Output tokens of an answer")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command.add_option("--effort", sampling.reasoning_effort,
                     "Reasoning effort, as the API spells it");
  command.add_option("--reasoning-budget", sampling.reasoning_budget, "Reasoning tokens");
  command.add_option("--stop", sampling.stop, "Stop sequence; may be repeated");
}

void add_patience_options(CLI::App& command, AgentOptions& options) {
  command
      .add_option("--attempts", options.retry.attempts,
                  "Attempts at a request that fails for reasons that are not its own")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      .add_option("--retry-wait", options.retry.total_wait_seconds,
                  "Seconds that one request may wait for its attempts, rate limits included")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command
      .add_option("--request-timeout", options.limits.total_seconds,
                  "Seconds that one attempt may take")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  command
      .add_option("--idle-timeout", options.limits.idle_seconds,
                  "Seconds between two portions of an answer")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  command
      .add_option("--connections", options.most_connections,
                  "Requests to one model at once at most; the limit adapts below it")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

}  // namespace

void add_model_options(CLI::App& command, AgentOptions& options) {
  add_sampling_options(command, options.sampling);
  command.add_option("--base-url", options.base_url, "Address of the model API");
  command.add_option("--extra-body", options.extra_body_json,
                     "JSON object of further fields of the request");
  command.add_option("--prices", options.prices, "Price table, for costs (docs/agents.md)");
  command
      .add_option("--samples-per-request", options.samples_per_request,
                  "Answers to ask for at once, where the API can")
      ->check(CLI::Range(1, 128));
  command.add_flag("!--no-stream", options.stream, "Ask for answers in one piece");
  command.add_flag("!--no-cache", options.use_cache, "Ask again for answers that were paid for");
  add_patience_options(command, options);
}

void add_to_json(const AgentOptions& options, nlohmann::json& json) {
  const Sampling& sampling = options.sampling;
  json.update({{"stream", options.stream},
               {"samples_per_request", options.samples_per_request},
               {"base_url", options.base_url},
               {"extra_body", options.extra_body_json},
               {"prices", options.prices.string()},
               {"cache", options.use_cache},
               {"command_jobs", options.command_jobs},
               {"max_output", sampling.max_output_tokens},
               {"effort", sampling.reasoning_effort},
               {"stop", sampling.stop},
               {"attempts", options.retry.attempts},
               {"retry_wait", options.retry.total_wait_seconds},
               {"request_timeout", options.limits.total_seconds},
               {"idle_timeout", options.limits.idle_seconds},
               {"connections", options.most_connections}});
  if (sampling.temperature) json["temperature"] = *sampling.temperature;
  if (sampling.top_p) json["top_p"] = *sampling.top_p;
  if (sampling.seed) json["seed"] = *sampling.seed;
  if (sampling.reasoning_budget) json["reasoning_budget"] = *sampling.reasoning_budget;
}

AgentOptions agent_options_from(const nlohmann::json& json) {
  AgentOptions options;
  json.at("stream").get_to(options.stream);
  json.at("samples_per_request").get_to(options.samples_per_request);
  json.at("base_url").get_to(options.base_url);
  json.at("extra_body").get_to(options.extra_body_json);
  options.prices = json.at("prices").get<std::string>();
  json.at("cache").get_to(options.use_cache);
  json.at("command_jobs").get_to(options.command_jobs);
  Sampling& sampling = options.sampling;
  json.at("max_output").get_to(sampling.max_output_tokens);
  json.at("effort").get_to(sampling.reasoning_effort);
  json.at("stop").get_to(sampling.stop);
  if (json.contains("temperature")) sampling.temperature = json["temperature"].get<double>();
  if (json.contains("top_p")) sampling.top_p = json["top_p"].get<double>();
  if (json.contains("seed")) sampling.seed = json["seed"].get<int64_t>();
  if (json.contains("reasoning_budget"))
    sampling.reasoning_budget = json["reasoning_budget"].get<int>();
  const auto later = [&json](const char* field, auto& value) {
    if (json.contains(field)) json[field].get_to(value);
  };
  later("attempts", options.retry.attempts);
  later("retry_wait", options.retry.total_wait_seconds);
  later("request_timeout", options.limits.total_seconds);
  later("idle_timeout", options.limits.idle_seconds);
  later("connections", options.most_connections);
  return options;
}

}  // namespace assay
