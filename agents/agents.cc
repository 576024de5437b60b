#include "agents/agents.h"

#include <fmt/format.h>

#include "agents/command_agent.h"
#include "agents/model/client.h"
#include "agents/offline_agents.h"
#include "base/install.h"
#include "tasks/nearest.h"

namespace assay {

namespace {

/// One HTTP loop for all models of the process; it ends with the last of them.
std::shared_ptr<HttpLoop> shared_loop() {
  static std::weak_ptr<HttpLoop> current;
  std::shared_ptr<HttpLoop> loop = current.lock();
  if (!loop) current = loop = std::make_shared<HttpLoop>();
  return loop;
}

Result<ModelConfig> model_config(const std::string& protocol, std::string text,
                                 const AgentOptions& options) {
  ModelConfig config;
  config.protocol = protocol;
  config.base_url = options.base_url;
  config.extra_body_json = options.extra_body_json;
  config.stream = options.stream;
  config.samples_per_request = options.samples_per_request;
  config.sampling = options.sampling;
  size_t comma = text.find(',');
  config.model = text.substr(0, comma);
  while (comma != std::string::npos) {
    text = text.substr(comma + 1);
    comma = text.find(',');
    const std::string field = text.substr(0, comma);
    const size_t equals = field.find('=');
    const std::string key = field.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : field.substr(equals + 1);
    if (key == "base_url")
      config.base_url = value;
    else if (key == "key_env")
      config.key_env = value;
    else if (key == "key_file")
      config.key_file = value;
    else
      return Error{
          ErrorKind::usage,
          fmt::format("an agent has no field {}; there are base_url, key_env, key_file{}",
                      in_quotes(key), suggestion(key, {"base_url", "key_env", "key_file"}))};
  }
  return config;
}

Result<std::unique_ptr<Agent>> model_agent(const std::string& protocol, const std::string& text,
                                           const AgentOptions& options) {
  ASSIGN_OR_RETURN(ModelConfig config, model_config(protocol, text, options));
  ClientOptions client;
  client.retry = options.retry;
  client.limits = options.limits;
  client.most_connections = options.most_connections;
  client.log = options.log;
  if (options.use_cache)
    client.cache = std::make_shared<ResponseCache>(
        options.cache.empty() ? cache_folder() / "responses" : options.cache);
  if (!options.prices.empty()) {
    ASSIGN_OR_RETURN(const PriceTable table, PriceTable::load(options.prices));
    client.price = table.find(config.model);
    if (!client.price)
      fmt::print(stderr, "assay: {} has no price for {}; its cost will be unknown\n",
                 options.prices.string(), config.model);
  }
  ASSIGN_OR_RETURN(auto agent, ModelClient::create(shared_loop(), std::move(config), client));
  return std::unique_ptr<Agent>(std::move(agent));
}

}  // namespace

Result<std::unique_ptr<Agent>> make_agent(const std::string& specification,
                                          const AgentOptions& options) {
  const size_t colon = specification.find(':');
  const std::string kind = specification.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : specification.substr(colon + 1);
  if (kind == "reference") {
    if (rest != "naive" && rest != "expert")
      return Error{ErrorKind::usage,
                   fmt::format("there is no reference kernel {}; write reference:naive or "
                               "reference:expert",
                               in_quotes(rest))};
    return std::unique_ptr<Agent>(std::make_unique<ReferenceAgent>(rest));
  }
  if (kind == "file") {
    ASSIGN_OR_RETURN(auto agent, FileAgent::create(rest));
    return std::unique_ptr<Agent>(std::move(agent));
  }
  if (kind == "cmd" || kind == "cmd-json") {
    if (rest.empty())
      return Error{ErrorKind::usage, fmt::format("the agent {}: names no command", kind)};
    CommandAgent::Options command;
    command.json = kind == "cmd-json";
    command.jobs = options.command_jobs;
    command.deadline_seconds = options.command_deadline_seconds;
    return std::unique_ptr<Agent>(std::make_unique<CommandAgent>(rest, command));
  }
  std::vector<std::string> kinds = {"reference", "file", "cmd", "cmd-json"};
  for (const Protocol* protocol : protocols()) {
    if (protocol->name() == kind) return model_agent(kind, rest, options);
    kinds.emplace_back(protocol->name());
  }
  return Error{ErrorKind::usage,
               fmt::format("there is no agent {}; agents begin with one of {}{}",
                           in_quotes(specification), listed(kinds), suggestion(kind, kinds))};
}

std::string agent_kinds() {
  std::string text =
      "reference:naive, reference:expert  the task's own kernels\n"
      "file:DIR                           DIR/<task>.cu or .py (or .md with an answer)\n"
      "cmd:COMMAND, cmd-json:COMMAND      a program that reads the prompt and prints an answer\n";
  for (const Protocol* protocol : protocols())
    text += fmt::format("{:<35}{}; key in {}\n", std::string(protocol->name()) + ":MODEL",
                        protocol->about(), protocol->default_key_env());
  return text;
}

}  // namespace assay
