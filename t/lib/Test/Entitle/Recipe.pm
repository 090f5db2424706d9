package Test::Entitle::Recipe;

# A recipe of recipes/ as it stands, with other ports and files, and the way of a
# customer through it.
#
#   my $recipe = Test::Entitle::Recipe->new('express', app => '127.0.0.1:3000',
#       command => ['node', 'recipes/express/app.js', '%PORT%']);
#   $recipe->journey(page => '/members/lesson', login => sub { my ($browser, $name) = @_; ... },
#       logout => '/logout', ids => { ada => 1, bob => 2 }, doors => ['/MEMBERS/lesson', ...]);

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use IO::Socket::INET;
use Test::Entitle;
use Test::Entitle::Docs qw(page);

our @EXPORT_OK = qw(log_in_at);

# Logs in by the form of a page, which may hold a token against forgery.
sub log_in_at {
    my ($uri) = @_;
    return sub {
        my ($browser, $name) = @_;
        my ($token) = $browser->get($uri)->body =~ /name="csrfmiddlewaretoken" value="(\w+)"/;
        my $form = (defined $token ? "csrfmiddlewaretoken=$token&" : '') . "username=$name&user=$name&password=secret";
        is $browser->post($uri, $form)->status =~ /^30[23]$/ ? 1 : 0, 1, "$name logs in";
    };
}

# app: where nginx.conf looks for it; command: what starts it there, %PORT% and %DIR%
# are replaced; change: what else is another here, [from => to, ...].
sub new {
    my ($class, $name, %args) = @_;
    my $self = bless { site => Test::Entitle->new, name => $name }, $class;
    my $site = $self->{site};
    $site->redis;
    my $port = free_port();
    my $http = page("recipes/$name/nginx.conf");
    my @change = ('127.0.0.1:6379' => '127.0.0.1:%%REDIS%%', 'listen 8080;' => 'listen 127.0.0.1:%%PORT%%;',
        '/etc/nginx/stripe-webhook-secret' => '%%SECRET%%', '/etc/nginx/entitle.key' => '%%KEY%%',
        defined $args{app} ? ($args{app} => "127.0.0.1:$port") : (), @{ $args{change} // [] });
    while (my ($from, $to) = splice @change, 0, 2) {
        $to =~ s/%DIR%/$site->dir/ge;
        $http =~ s/\Q$from\E/$to/g or croak "recipes/$name/nginx.conf has no \"$from\"";
    }
    if ($args{command}) {
        my @command = map { s/%PORT%/$port/gr =~ s/%DIR%/$site->{dir}/gr } @{ $args{command} };
        $self->{app} = Test::Entitle::Process->new(command => \@command, output => $site->dir . '/app.log');
        my $there = $args{socket} ? sub { -S $args{socket} =~ s/%DIR%/$site->{dir}/r }
            : sub { IO::Socket::INET->new("127.0.0.1:$port") };
        wait_until(sub { $there->() || !$self->{app}->running }, 30) && $self->{app}->running
            or croak "the app did not start:\n" . $site->read_file('app.log');
    }
    $site->start($http);
    return $self;
}

sub site { $_[0]{site} }

my $purchases = 0;

sub pays {
    my ($self, $user) = @_;
    my $event = event_json('customer.subscription.created.active', user => "$user",
        customer => ++$purchases, livemode => JSON::PP::true);
    my $answer = $self->{site}->webhook($event, uri => '/stripe');
    is $answer->status, 200, '  Stripe says that they paid' or diag $answer->body;
}

sub cancels {
    my ($self, $user) = @_;
    my $event = event_json('customer.subscription.deleted', user => "$user", customer => $purchases,
        livemode => JSON::PP::true, map { $_ => time } qw(created data.object.ended_at data.object.canceled_at));
    is $self->{site}->webhook($event, uri => '/stripe')->status, 200, '  Stripe says that they left';
}

sub journey {
    my ($self, %o) = @_;
    my ($site, $page) = ($self->{site}, $o{page});
    my ($ada, $bob) = map { $o{ids}{$_} } qw(ada bob);
    my $browser = $site->browser;

    my $guest = $browser->get($page);
    is $guest->status, 302, "$self->{name}: a guest is led to the login";
    my $next = $page =~ s{/}{%2F}gr;
    like $guest->header('Location'), qr/[?]next=(?:\Q$page\E|\Q$next\E)$/, '  and from there back';
    $o{login}->($browser, 'ada');
    is $browser->get($page)->status, 402, 'who has not paid is asked for money';
    $self->pays($ada);
    my $lesson = $browser->get($page);
    is $lesson->status, 200, '  and is in, in the session they have';
    like $lesson->body, $o{says} // qr/The lesson, for \Q$ada\E\./, '  with the lesson';
    is $site->browser->get($page)->status, 302, '  and nobody else';

    my $tab = $site->browser;
    %{ $tab->cookies } = %{ $browser->cookies };
    is $tab->get($page)->status, 200, 'a second tab is in as well';

    # Nothing but the door leads to the lesson.
    my $stranger = $site->browser;
    $o{login}->($stranger, 'bob');
    is $stranger->get($page)->status, 402, 'who is somebody else has not paid';
    for my $door (@{ $o{doors} }) {
        for my $visitor ($stranger, $site->browser) {
            my $answer = $visitor->get($door);
            unlike $answer->body, qr/The lesson/, "  and $door is no other way in";
        }
        unlike $site->request(uri => $door, headers => ['X-Entitle-User' => $ada, 'X-Entitle-Entitlements' => 'pro'])->body,
            qr/The lesson/, '  whatever a client claims';
    }

    $self->cancels($ada);
    is $_->get($page)->status, 402, 'who left is out' for $browser, $tab;
    $self->pays($ada);
    is $browser->get($page)->status, 200, 'and in again when they pay again';

    $o{logout}->($browser) if ref $o{logout};
    $browser->get($o{logout}) if !ref $o{logout};
    is $browser->get($page)->status, 302, 'who logs out is a guest';
    $o{login}->($browser, 'bob');
    is $browser->get($page)->status, 402, 'who logs in as somebody else is somebody else';
}

sub finish {
    my ($self) = @_;
    $self->{site}->finish;
    $self->{app}->stop if $self->{app};
}

1;
