#include "lua-free-tests/support/stripe_event.h"

#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/types.h"
#include "core/json/tree.h"
#include "core/json/writer.h"
#include "core/source/claim.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"
#include "core/stripe/signature.h"

namespace entitle::test {
namespace {

constexpr std::string_view kSecret = "whsec_test";
constexpr std::int64_t kNow = 1767225600;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::abort();
}

std::string signed_header(std::string_view body) {
  std::string text = std::to_string(kNow) + '.' + std::string(body);
  std::array<unsigned char, 32> mac{};
  HMAC(EVP_sha256(), kSecret.data(), static_cast<int>(kSecret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       mac.data(), nullptr);
  std::string header = "t=" + std::to_string(kNow) + ",v1=";
  for (unsigned char byte : mac) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", byte);
    header += hex;
  }
  return header;
}

// Beside this file, which CMake names in full.
std::string fixtures() {
  std::filesystem::path here = __FILE__;
  return (here.parent_path().parent_path() / "fixtures/stripe").string();
}

std::vector<std::string> names_below(const std::string& directory) {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  fs::path root = fixtures();
  for (const auto& entry : fs::recursive_directory_iterator(root / directory)) {
    if (entry.path().extension() != ".json") continue;
    names.push_back(fs::relative(entry.path(), root).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) give_up("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string fixture(const std::string& name) {
  return read_file(fixtures() + "/" + name);
}

std::vector<std::string> fixture_names() {
  std::vector<std::string> names = names_below("");
  std::erase_if(names, [](const std::string& name) {
    return name == "INDEX.json" || name.starts_with("scenarios/");
  });
  return names;
}

std::vector<std::string> scenario_names() { return names_below("scenarios"); }

ParsedEvent parse(std::string_view body, std::size_t max_bytes) {
  static const std::array<HmacSha256, 1> secrets = {HmacSha256(kSecret)};
  std::string header = signed_header(body);
  SignatureVerdict verdict =
      verify_signature(header, body, secrets, unix_time(kNow), Seconds{300});
  if (!verdict.payload) give_up("the test's own signature does not verify");
  return parse_event(*verdict.payload, max_bytes);
}

Event event(std::string_view body) {
  ParsedEvent parsed = parse(body);
  if (!parsed.event) give_up("not an event: " + parsed.detail);
  return *std::move(parsed.event);
}

std::string dump(const json_t* json) {
  char* text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
  if (text == nullptr) give_up("cannot write JSON");
  std::string copy = text;
  std::free(text);
  return copy;
}

std::string dump(const json::Node* node) {
  std::string text;
  switch (node->type()) {
    case json::Type::null:
      return "null";
    case json::Type::boolean:
      return node->boolean() ? "true" : "false";
    case json::Type::integer:
    case json::Type::real:
      return std::string(node->text());
    case json::Type::string:
      json::Writer(text).string(node->text());
      return text;
    case json::Type::array:
    case json::Type::object:
      break;
  }
  bool object = json::is_object(node);
  for (const json::Node* child : json::Children(node)) {
    if (!text.empty()) text += ',';
    if (object) {
      json::Writer(text).string(child->key());
      text += ':';
    }
    text += dump(child);
  }
  return object ? '{' + text + '}' : '[' + text + ']';
}

FactsOptions default_options() { return {default_user_from(), nullptr}; }

Facts facts(std::string_view body) {
  return facts_of(event(body), default_options());
}

Facts facts_of_fixture(const std::string& name) { return facts(fixture(name)); }

Sources sources(const Facts& facts) {
  Sources all;
  for (const PlaceFacts& place : facts.places) merge(all, place.sources);
  return all;
}

Sources sources_of(const std::vector<std::string>& bodies) {
  Sources all;
  for (const std::string& body : bodies) merge(all, sources(facts(body)));
  return all;
}

std::string joined(const std::vector<Identifier>& identifiers) {
  std::string text;
  for (const Identifier& identifier : identifiers) {
    if (!text.empty()) text += ' ';
    text += identifier.str();
  }
  return text;
}

Sources stored(const Sources& sources) {
  Sources again;
  for (const auto& [id, source] : sources) {
    std::optional<Source> decoded = Source::decode(source.encode());
    if (!decoded) give_up("cannot decode " + source.encode());
    again[id] = *std::move(decoded);
  }
  return again;
}

std::vector<std::string> texts(const std::vector<Identifier>& identifiers) {
  std::vector<std::string> all;
  for (const Identifier& identifier : identifiers) {
    all.push_back(identifier.str());
  }
  return all;
}

std::string describe(const Facts& facts) {
  std::string text = "customer " + facts.customer + " email " + facts.email +
                     " note " + facts.note + "\n";
  text += joined(facts.identifiers);
  for (const PlaceFacts& place : facts.places) {
    text += "\nplace " + place.place;
    for (const Claim& claim : place.claims) {
      text += "\n  claim " + std::to_string(static_cast<int>(claim.kind)) +
              ' ' + std::to_string(to_unix(claim.created)) + ' ' + claim.event +
              ' ' + claim.target.str() + ' ' + claim.source;
    }
    for (const auto& [id, source] : place.sources) {
      text += "\n  source " + id + ' ' + source.encode();
    }
  }
  return text;
}

}  // namespace entitle::test
