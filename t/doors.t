# Doors beside the door (docs/gating.md): apps that show what is gated at other
# URLs, too. The configurations of docs/sessions.md shut them; the simple one
# does not, which is also how we know that the stand-ins for the apps do what
# the apps do.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Commands qw(commands);
use Test::Entitle::Docs qw(blocks page);
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Test::Entitle::NginxConf qw(http_of parse text walk);
use Test::Entitle::Surroundings;

my %PAID = (status => 200, body => 'what is paid for');
my %FREE = (status => 200, body => 'free');

# --- the apps, by how they route ---------------------------------------------------

sub path_of    { return $_[0] =~ s/\?.*//sr }
sub unescaped  { return $_[0] =~ s/%([0-9a-f]{2})/chr hex $1/gier }
sub whoami     { my ($user) = @_; return defined $user ? { status => 204, headers => ['X-User' => $user] } : { status => 401 } }
sub cookie_of  { my ($r, $name) = @_; return $r->{cookies}{$name} // (($r->{params_of}{HTTP_COOKIE} // '') =~ /\Q$name\E=(\w+)/)[0] }
sub params     { my ($r) = @_; $r->{params_of} = { map { @$_ } @{ $r->{params} } }; return $r->{params_of} }

# path-to-regexp: in any case, as it was sent.
sub express {
    my ($r) = @_;
    my $path = path_of($r->{uri});
    return whoami(cookie_of($r, 'connect.sid')) if $path eq '/whoami';
    return $path =~ m{^/members(?:/|$)}i ? {%PAID} : {%FREE};
}

# WSGI: unescaped, dots and all; re_path(r'^courses/').
sub django {
    my ($r) = @_;
    my $path = unescaped(path_of($r->{uri}));
    return whoami(cookie_of($r, 'sessionid')) if $path eq '/whoami/';
    return $path =~ m{^/courses/} ? {%PAID} : {%FREE};
}

# Symfony: without the script's name; Route::get('/members/{any?}'), any of all.
sub laravel {
    my ($r) = @_;
    my $path = unescaped(path_of(params($r)->{REQUEST_URI}) =~ s{^/index\.php(?=/|$)}{}r);
    return whoami(cookie_of($r, 'laravel_session')) if $path eq '/whoami';
    return $path =~ m{^/members(?:/|$)} ? {%PAID} : {%FREE};
}

# A page is found by its path in any case, by its name or id in the query, by
# REST, in search and feeds.
sub is_page_of_wordpress {
    my ($uri, $query) = @_;
    my $path = lc path_of($uri) =~ s{^/index\.php(?=/|$)}{}r;
    my %query = map { /^(\w+)=(.*)/ ? ($1 => unescaped($2)) : () } split /&/, $query;
    my $rest = $query{rest_route} // ($path =~ m{^/wp-json(/.*)})[0] // '';
    return $path =~ m{^/members(?:/|$)} || ($query{pagename} // '') =~ m{^members}i
        || grep({ ($query{$_} // '') eq '5' } qw(p page_id)) || defined $query{s}
        || $path =~ m{/feed/?$} || $rest =~ m{^/wp/v2/(?:pages|search)};
}

sub wordpress {
    my ($private) = @_;
    return sub {
        my ($r) = @_;
        my $params = params($r);
        my $user   = cookie_of($r, 'wordpress_logged_in_0123456789abcdef0123456789abcdef');
        return whoami($user) if $params->{QUERY_STRING} =~ /^action=entitle_whoami/;
        return {%FREE} if !is_page_of_wordpress($params->{REQUEST_URI}, $params->{QUERY_STRING});
        # recipes/wordpress/entitle.php
        my $held = grep { $_ eq 'pro' } split /,/, $params->{HTTP_X_ENTITLE_ENTITLEMENTS} // '';
        return {%PAID} if !$private || $held && defined $user && $params->{HTTP_X_ENTITLE_USER} eq $user;
        return { status => 404, body => 'no such page' };
    };
}

# --- a configuration of the documentation, here ----------------------------------------

sub recipe {
    my ($heading) = @_;
    my $line = 1 + (page('docs/sessions.md') =~ /\A(.*?)^### \Q$heading\E$/ms ? $1 =~ tr/\n// : die $heading);
    return (grep { $_->{language} eq 'nginx' && $_->{line} > $line } blocks('docs/sessions.md'))[0]{text};
}

sub started {
    my ($text, $app) = @_;
    my $site = Test::Entitle->new;
    my $http = Test::Entitle::Surroundings->new($site)->moved(http_of(parse($text), commands()));
    walk($http, sub {
        my $words = $_[0]{words};
        $words->[1] =~ s{127\.0\.0\.1:\d+}{127.0.0.1:%%APP%%} if $words->[0] eq 'proxy_pass';
        $words->[1] = '127.0.0.1:%%APP%%' if $words->[0] eq 'fastcgi_pass';
    });
    my $protocol = $text =~ /fastcgi_pass/ ? 'fastcgi' : 'http';
    my $stands_in = Test::Entitle::GateApp->new($site, $app, protocol => $protocol);
    my $here = "entitle_mode test;\n" . text($http) =~ s/%%APP%%/$stands_in->port/ger;
    put_record($site->redis, 'ada', version => 1, subscription('active', identifiers => ['price_1PgaidABCDEFGHIJ']));
    put_record($site->redis, 'bob', version => 1);
    utf8::encode($here);
    $site->start($here);
    return ($site, $stands_in);
}

# What is shown there.
sub shown {
    my ($site, $uri, @headers) = @_;
    return $site->connect(port => $site->port(1), tls => 1)->request(uri => $uri, close => 1,
        headers => [Accept => 'text/html', @headers])->body;
}

my $DOTS = qr/^.*if \(\$request_uri.*\n/m;
for my $case (
    { name => 'Node (Express)', app => \&express, cookie => 'connect.sid', front => '/members/1',
        simple => sub { s/$DOTS//; s{location ~\* \^/members\S+}{location /members/} or die },
        doors => ['/MEMBERS/1', '/Members', '/members/../free', '/members/%2e%2e/free/1', '/members/..', '/members/./../x'],
        other => ['/members', '//members/1', '/members/./1', '/free/../members/1', '/free/%2e%2e/members/1', '/members%2F1'] },
    { name => 'Django', app => \&django, cookie => 'sessionid', front => '/courses/1',
        simple => sub { s/$DOTS// or die },
        doors => ['/courses/../free', '/courses/%2e%2e/free', '/courses%2f..%2ffree'],
        other => ['/courses', '/free/../courses/1', '/courses%2f1', '//courses/1'] },
    { name => 'Laravel', app => \&laravel, cookie => 'laravel_session', front => '/members/1',
        simple => sub { s/$DOTS//; s/^.*location \^~ .index.*\n//m; s{location ~ \^/members\S+}{location /members/} or die },
        doors => ['/index.php/members/1', '/index.php/members', '/members/../free', '/members%2f..%2ffree'],
        other => ['/members', '/free/../members/1', '/members%2f1', '/index.php//members/1', '/INDEX.PHP/members/1'] },
    { name => 'WordPress', app => wordpress(1), open => wordpress(0), front => '/members/lesson-1/',
        cookie => 'wordpress_logged_in_0123456789abcdef0123456789abcdef',
        simple => sub { s/^ *entitle optional.*\n//m; s{location \^~ /members/}{location /members/} or die },
        doors => ['/MEMBERS/lesson-1/', '/?pagename=members/lesson-1', '/?pagename=MEMBERS/lesson-1', '/?page_id=5', '/?p=5',
            '/wp-json/wp/v2/pages/5', '/?rest_route=/wp/v2/pages/5', '/?s=lesson&feed=rss2', '/?s=lesson', '/feed/',
            '/index.php/members/lesson-1/', '/index.php?pagename=members/lesson-1', '/members/x.php?pagename=members'],
        other => ['/members', '/members/lesson-1/feed/', '/free/../members/lesson-1/'] },
) {
    my $name = $case->{name};
    my $front = $case->{front};
    my $text = recipe($name);
    my @ada = (Cookie => "$case->{cookie}=ada");
    my @visitors = (
        ['nobody'],
        ['one who has paid for nothing', Cookie => "$case->{cookie}=bob"],
        ['one who says he has', Cookie => "$case->{cookie}=bob", 'X-Entitle-User' => 'bob',
            map { ($_ => 'pro') } qw(X-Entitle-Entitlements X_Entitle_Entitlements)],
    );

    my ($site) = my @shut = started($text, $case->{app});
    is shown($site, $front, @ada), $PAID{body}, "$name: who has paid sees it";
    for my $uri ($front, @{ $case->{doors} }, @{ $case->{other} }) {
        for (@visitors) {
            my ($who, @headers) = @$_;
            isnt shown($site, $uri, @headers), $PAID{body}, "the_recipe_shuts_the_door: $uri to $who";
        }
    }
    is shown($site, '/elsewhere'), $FREE{body}, '  and what is free is free';
    $site->finish;

    my $simple = $text;
    $case->{simple}->() for $simple;
    my @open = started($simple, $case->{open} // $case->{app});
    isnt shown($open[0], $front), $PAID{body}, '  the simple one shuts the front door';
    is shown($open[0], $_), $PAID{body}, "  and not $_" for @{ $case->{doors} };
    $open[0]->finish;
}

done_testing;
