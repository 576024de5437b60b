// What the test payload can do. Each entry returns the errno of its decisive call: 0 means that it
// worked.
#pragma once

#include <map>
#include <string>
#include <vector>

using Arguments = std::vector<std::string>;
using Action = int (*)(const Arguments&);

/// Attempts at what a sandboxed program must not do (payload_attacks.cc).
const std::map<std::string, Action>& attacks();
/// Attempts to reach other runs and host services, or to leave something behind
/// (payload_channels.cc).
const std::map<std::string, Action>& channels();
/// Programs that use resources up (payload_bombs.cc).
const std::map<std::string, Action>& bombs();
