// How a connection comes up: its address, the socket, TLS, the greeting. And
// that it does not outstay: the address is looked up again while it lives.

#include <algorithm>

#include "core/redis/error.h"
#include "ngx_module/redis_client/connection.h"
#include "ngx_module/redis_client/ssl.h"

namespace entitle::ngx {

void
RedisConnection::open(bool quiet) {
    // A server that stays down is said once, by the owner, not at each try.
    log_.log_level = quiet ? NGX_LOG_ALERT : ngx_cycle->log->log_level;
    next_address_ = 0;
    addresses_ = known_addresses(endpoint_);
    if (!addresses_.empty()) {
        connect_next();
        return;
    }
    state_ = State::finding;
    restart_timer(from_now(conf_->redis_connect_timeout));
    update_idle();
    lookup_.start(*conf_, endpoint_.host);
}

void
RedisConnection::found() {
    if (state_ == State::finding) {
        if (next_address_ == 0) {
            addresses_ = lookup_.addresses();
        }
        if (addresses_.empty()) {
            close(RedisStatus::unavailable, true, lookup_.error());
        } else {
            connect_next();
        }
        return;
    }
    if (state_ == State::closed) {
        return;
    }
    // A resolver that does not answer is no reason to leave.
    const std::vector<SocketAddress>& now = lookup_.addresses();
    const SocketAddress& ours = addresses_[next_address_ - 1];
    if (!now.empty() && std::find(now.begin(), now.end(), ours) == now.end()) {
        leave('"' + endpoint_.host.host + "\" now is " + now.front().text());
    } else {
        recheck_soon();
    }
}

void
RedisConnection::recheck_soon() {
    ngx_add_timer(&recheck_, lookup_.valid_for());
}

void
RedisConnection::leave(std::string_view why) {
    leaving_ = true;
    leaving_why_ = why;
    ngx_post_event(&flush_, &ngx_posted_events);
}

void
RedisConnection::connect_next() {
    SocketAddress& address = addresses_[next_address_++];
    reader_.emplace();
    greeted_ = 0;
    endpoint_text_ = endpoint_.text();
    if (std::string text = address.text(); text != endpoint_text_) {
        endpoint_text_ += " (" + text + ')';
    }
    address_text_ = str(endpoint_text_);

    peer_ = {};
    peer_.sockaddr = &address.socket.sockaddr;
    peer_.socklen = address.length;
    peer_.name = &address_text_;
    peer_.get = ngx_event_get_peer;
    peer_.log = &log_;
    peer_.log_error = NGX_ERROR_INFO;

    ngx_int_t rc = ngx_event_connect_peer(&peer_);
    state_ = State::connecting;
    if (rc != NGX_OK && rc != NGX_AGAIN) {
        connect_failed(ngx_socket_errno);
        return;
    }
    c_ = peer_.connection;
    c_->data = this;
    c_->read->handler = on_read;
    c_->write->handler = on_write;
    restart_timer(from_now(conf_->redis_connect_timeout));
    update_idle();
    if (rc == NGX_OK) {
        connected();
    }
}

void
RedisConnection::connect_failed(ngx_err_t error) {
    u_char text[NGX_MAX_ERROR_STR];
    u_char* end = ngx_strerror(error, text, sizeof(text));
    close(RedisStatus::unavailable, true,
          "connect() failed (" + std::string(text, end) + ")");
}

// epoll says that the socket is writable: connected or not.
void
RedisConnection::connect_ended() {
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(c_->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1) {
        error = ngx_socket_errno;
    }
    if (error == 0) {
        connected();
    } else {
        connect_failed(error);
    }
}

void
RedisConnection::connected() {
    if (!endpoint_.ssl) {
        greet();
        return;
    }
    state_ = State::securing;
    ngx_int_t rc = ssl_begin(*conf_, c_, endpoint_, on_secured);
    if (rc == NGX_OK) {
        secured();
    } else if (rc == NGX_ERROR) {
        close(RedisStatus::unavailable, true, "the TLS handshake failed");
    }
}

void
RedisConnection::secured() {
    std::string fault = ssl_fault(*conf_, c_);
    if (!fault.empty()) {
        close(RedisStatus::unavailable, true, fault);
        return;
    }
    // The handshake had them.
    c_->read->handler = on_read;
    c_->write->handler = on_write;
    greet();
}

Command
RedisConnection::login() const {
    if (endpoint_.login == Endpoint::Login::sentinel &&
        conf_->sentinel_password != nullptr) {
        return {"AUTH", *conf_->sentinel_password};
    }
    if (endpoint_.login != Endpoint::Login::redis ||
        conf_->redis_password == nullptr) {
        return {};
    }
    std::string user = conf_->redis_user.len != 0
                           ? std::string(view(conf_->redis_user))
                           : conf_->redis_address->user;
    if (user.empty()) {
        return {"AUTH", *conf_->redis_password};
    }
    return {"AUTH", std::move(user), *conf_->redis_password};
}

void
RedisConnection::greet() {
    greeting_.clear();
    if (Command command = login(); !command.empty()) {
        greeting_.push_back(std::move(command));
    }
    if (endpoint_.db != 0) {
        greeting_.push_back({"SELECT", std::to_string(endpoint_.db)});
    }
    greeting_.push_back({"CLIENT", "SETNAME", "entitle"});
    if (proves_transactions_) {
        greeting_.push_back({"MULTI"});
        greeting_.push_back({"EXEC"});
    }
    greeting_.push_back({"PING"});

    state_ = State::greeting;
    restart_timer(from_now(conf_->redis_timeout));
    for (const Command& command : greeting_) {
        append_command(out_, command);
    }
    flush();
}

void
RedisConnection::take_greeting(const Reply& reply) {
    const std::string& command = greeting_[greeted_++].front();
    // A name is a courtesy, and an ACL without PING is still a live server.
    // What may be otherwise in a while is for the first transaction to hear.
    // One that is full says so before it has read anything.
    bool may_fail =
        (command == "CLIENT" ||
         (command == "PING" && reply.is_error("NOPERM")) ||
         (command == "EXEC" && meaning_of(reply) == ErrorMeaning::later)) &&
        !reply.text.starts_with("ERR max number of clients");
    if (command == "PING") {
        may_mark_ =
            !reply.is_error() && endpoint_.login != Endpoint::Login::sentinel;
    }
    if (reply.is_error() && !may_fail) {
        close(RedisStatus::unavailable, true,
              command + " was answered with \"" + reply.text + "\"");
        return;
    }
    if (greeted_ == greeting_.size()) {
        become_ready();
    }
}

void
RedisConnection::become_ready() {
    state_ = State::ready;
    if (timer_.timer_set) {
        ngx_del_timer(&timer_);  // the next may be due earlier
    }
    log_.log_level = ngx_cycle->log->log_level;
    owner_->connected(this);
    update_idle();
    if (known_addresses(endpoint_).empty()) {
        recheck_soon();
    }
    flush();
}

}  // namespace entitle::ngx
