// Grants that nothing can ever meet: by a member of metadata that names users,
// which is not kept with what was bought.

#include <algorithm>
#include <span>

#include "core/source/identifier.h"
#include "ngx_module/conf/check.h"
#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

bool
takes_webhooks_for(const Server& taker, const ServerConf& reader) {
    if (view(taker.conf().prefix) != view(reader.prefix)) {
        return false;
    }
    const bool live = static_cast<Mode>(reader.mode) == Mode::live;
    bool takes = false;
    each_location(taker.root, [&](const Location& location) {
        takes = takes || location.conf().webhook == (live ? 2 : 1);
    });
    return takes;
}

// Who writes what `server` reads. Where another machine does, it is configured
// as this one, as far as can be told.
std::vector<const ServerConf*>
writers_for(const Server& server, const std::vector<Server>& servers) {
    std::vector<const ServerConf*> writers;
    for (const Server& other : servers) {
        if (takes_webhooks_for(other, server.conf())) {
            writers.push_back(&other.conf());
        }
    }
    if (writers.empty()) {
        writers.push_back(&server.conf());
    }
    return writers;
}

bool
names_users(const ServerConf& writer, std::string_view key) {
    return std::any_of(writer.user_from->begin(), writer.user_from->end(),
                       [&](const UserFrom& from) {
                           return from.kind == UserFrom::Kind::metadata &&
                                  from.key == key;
                       });
}

// Empty: it is no member of metadata.
std::string_view
key_of(std::string_view identifier) {
    const std::optional<Identifier> known = Identifier::parse(identifier);
    if (!known || known->parts().type != Identifier::Type::tag) {
        return {};
    }
    const std::size_t at = identifier.find("metadata.") + 9;
    return identifier.substr(at, identifier.find('=') - at);
}

void
check_grant(Server& server, const Said& said,
            const std::vector<const ServerConf*>& writers) {
    for (const std::string_view word : std::span(said.words).subspan(1)) {
        const std::string_view key = key_of(word);
        if (key.empty() || !std::all_of(writers.begin(), writers.end(),
                                        [&](const ServerConf* writer) {
                                            return names_users(*writer, key);
                                        })) {
            continue;
        }
        const Where& by = writers.front()->user_from_where;
        server.refuse(
            "\"" + std::string(word) +
                "\" in \"entitle_grant\" opens nothing for anybody: "
                "\"entitle_user_from\" " +
                (by.line == 0 ? "by default" : "in " + text(by)) + " reads \"" +
                "metadata." + std::string(key) +
                "\" as who the user is, and that is not kept as something "
                "bought",
            said.where);
    }
}

}  // namespace

bool
grants_can_be_met(ngx_conf_t* cf, std::vector<Server>& servers) {
    const auto* main = static_cast<const MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    if (main->notes == nullptr) {
        return true;
    }
    for (Server& server : servers) {
        const std::vector<const ServerConf*> writers =
            writers_for(server, servers);
        for (const Said& said : main->notes->said) {
            // Said here, or above and inherited.
            if (view(said.directive) == "entitle_grant" &&
                static_cast<const ServerConf*>(said.conf)->grants ==
                    server.conf().grants) {
                check_grant(server, said, writers);
            }
        }
        if (server.refused()) {
            return false;
        }
    }
    return true;
}

}  // namespace entitle::ngx
