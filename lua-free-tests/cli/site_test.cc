// What a configuration says about entitle, level by level.
#include "cli/conf/site.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <map>

#include "cli/base/stop.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::Identifier;
using entitle::Mode;
using entitle::Seconds;
using entitle::cli::ConfFile;
using entitle::cli::ConfFiles;
using entitle::cli::Exit;
using entitle::cli::files_of_dump;
using entitle::cli::Location;
using entitle::cli::read_directives;
using entitle::cli::ReadConf;
using entitle::cli::Server;
using entitle::cli::Site;
using entitle::cli::site_of;
using entitle::cli::Stop;

struct Memory : ConfFiles {
  std::map<std::string, std::string> texts;
  std::vector<ConfFile> included(const std::string& name) override {
    return {{name, texts.at(name)}};
  }
};

Site site(const std::string& text, Memory* files = nullptr) {
  Memory none;
  ConfFile file{"/n/nginx.conf", text};
  return site_of(ReadConf{
      read_directives(file, files != nullptr ? *files : none), "a test", "/n"});
}

Exit refusal(const std::string& text) {
  try {
    site(text);
  } catch (const Stop& stop) {
    return stop.how();
  }
  return Exit::fine;
}

bool gives(const Server& server, const char* identifier, const char* name) {
  return server.grants.gives(*Identifier::parse(identifier), name);
}

void a_server_inherits_what_it_does_not_say(void**) {
  Site s = site(R"(
    http {
      entitle_redis redis://r:7000/3;
      entitle_redis_prefix shop:;
      entitle_mode test;
      entitle_grant pro price_1 price_2;
      entitle_grant team price_3;
      entitle_grace 1d;
      server { server_name a b; listen 80; location / { entitle_require pro; } }
      server { server_name c; entitle_mode live; entitle_redis_prefix off;
               entitle_grant plus price_1; entitle_refund keep;
               location / { entitle on; } }
    })");
  assert_string_equal(s.redis.text.c_str(), "redis://r:7000/3");
  assert_int_equal(s.redis.address.db, 3);
  assert_int_equal(s.servers.size(), 2);
  const Server& a = s.servers[0];
  assert_true(a.name() == "a" && a.prefix == "shop:" && a.mode == Mode::test);
  assert_true(gives(a, "price_2", "pro") && gives(a, "price_3", "team"));
  assert_true(a.policy.grace == Seconds{86400} && a.policy.refund_revokes);
  const Server& c = s.servers[1];
  assert_true(c.prefix == "entitle:" && c.mode == Mode::live);
  assert_true(gives(c, "price_1", "plus"));
  assert_false(gives(c, "price_2", "pro"));  // a list replaces the outer one
  assert_false(c.policy.refund_revokes);
}

void a_location_inherits_what_it_does_not_say(void**) {
  Site s = site(R"(
    http { server {
      entitle_require pro; entitle_require a b;
      location /a { }
      location /b { entitle off; }
      location /c { entitle_require off; location /c/d { entitle_require x; } }
      location /e { entitle optional; }
      location = /hook { entitle_webhook test; }
      location ~ \.mp4$ { }
      location @named { }
      location =/f { }
      location /s { entitle_status; }
    } })");
  const std::vector<Location>& l = s.servers[0].root.locations;
  assert_true(l[0].gated && l[0].require.size() == 2);
  assert_true(l[0].require[1].names == (std::vector<std::string>{"a", "b"}));
  assert_string_equal(l[0].require[0].at.c_str(), "/n/nginx.conf:3");
  assert_false(l[1].gated);
  assert_true(l[2].gated && l[2].require.empty());
  assert_true(l[2].locations[0].gated &&
              l[2].locations[0].require[0].names.front() == "x");
  assert_true(l[3].gated && l[3].optional);
  assert_true(l[4].modifier == "=" && l[4].webhook == Mode::test);
  assert_false(l[4].gated);
  assert_true(l[5].modifier == "~" && l[5].path == "\\.mp4$" && l[5].gated);
  assert_true(l[6].modifier == "@");
  assert_true(l[7].modifier == "=" && l[7].path == "/f");
  assert_false(l[8].gated);
  assert_true(s.servers[0].has_gate());
  assert_true(s.servers[0].webhooks() == std::vector<Mode>{Mode::test});
}

void includes_are_followed(void**) {
  Memory files;
  files.texts = {{"grants", "entitle_grant pro price_1;"},
                 {"server", "server { location / { include gate; } }"},
                 {"gate", "entitle_require pro;"},
                 {"loop", "include loop;"}};
  Site s = site("http { include grants; include server; }", &files);
  assert_true(gives(s.servers[0], "price_1", "pro"));
  assert_string_equal(s.servers[0].root.locations[0].require[0].at.c_str(),
                      "gate:1");
  try {
    site("include loop;", &files);
    fail();
  } catch (const Stop& stop) {
    assert_int_equal(static_cast<int>(stop.how()),
                     static_cast<int>(Exit::cannot_tell));
  }
}

void what_cannot_be_is_refused(void**) {
  for (const char* bad :
       {"http {", "http { server { entitle_mode prod; } }",
        "http { entitle_grant pro gold; }", "http { entitle_redis http://x; }",
        "http { entitle_grace 3x; }", "http { entitle_redis; }"}) {
    assert_true(refusal(bad) != Exit::fine);
  }
}

void a_dump_is_taken_apart(void**) {
  std::vector<ConfFile> files = files_of_dump(
      "nginx: the configuration file /n/nginx.conf syntax is ok\n"
      "# configuration file /n/nginx.conf:\nhttp { include a; }\n\n"
      "# configuration file /n/a:\n# configuration file for people\nserver { }"
      "\n");
  assert_int_equal(files.size(), 2);
  assert_string_equal(files[0].path.c_str(), "/n/nginx.conf");
  assert_string_equal(files[0].text.c_str(), "http { include a; }\n\n");
  assert_string_equal(files[1].path.c_str(), "/n/a");
  assert_true(files[1].text.find("for people") != std::string::npos);
  assert_true(files_of_dump("user www;\n# configuration file /a:\n").empty());
}

void times_are_nginxs(void**) {
  using entitle::cli::time_of;
  using std::chrono::milliseconds;
  assert_true(time_of("500ms") == milliseconds(500));
  assert_true(time_of("1h30m") == milliseconds(5400000));
  assert_true(time_of("7d") == milliseconds(7 * 86400000LL));
  assert_true(time_of("30") == milliseconds(30000));
  assert_true(time_of("1M") == milliseconds(30 * 86400000LL));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_server_inherits_what_it_does_not_say),
      cmocka_unit_test(a_location_inherits_what_it_does_not_say),
      cmocka_unit_test(includes_are_followed),
      cmocka_unit_test(what_cannot_be_is_refused),
      cmocka_unit_test(a_dump_is_taken_apart),
      cmocka_unit_test(times_are_nginxs),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
