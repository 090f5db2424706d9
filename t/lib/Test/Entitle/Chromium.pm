package Test::Entitle::Chromium;

# A real Chromium, headless, driven over WebDriver (chromedriver).
#
#   my $browser = Test::Entitle::Chromium->new($site);
#   $browser->open('http://127.0.0.1:8080/lesson');
#   like $browser->text, qr/lesson one/;
#   is $browser->script('return document.title'), 'Lesson';
#   $browser->back;
#
# Whatever WebDriver answers with an error dies here. stop() (or the end of the
# object) ends the browser and its driver.

use strict;
use warnings;

use Carp qw(croak);
use HTTP::Tiny;
use JSON::PP ();
use Test::Entitle::Process qw(free_port wait_until patience);

my $JSON = JSON::PP->new->canonical->utf8->allow_nonref;

# What keeps a browser from looking for anything but what it is told to open.
my @OPTIONS = (
    qw(--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run
        --disable-background-networking --disable-component-update --disable-sync
        --disable-dev-shm-usage --hide-scrollbars),
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
);

# new($site, size => '1280,900', options => [more of Chromium's])
sub new {
    my ($class, $site, %o) = @_;
    my $port = free_port();
    my $dir  = $site->dir;
    my $self = bless {
        http  => HTTP::Tiny->new(timeout => 60 * patience()),
        base  => "http://127.0.0.1:$port",
        owner => $$,
    }, $class;
    $self->{driver} = Test::Entitle::Process->new(
        command => ['chromedriver', "--port=$port", '--log-level=WARNING'],
        output  => "$dir/logs/chromedriver");
    wait_until(sub {
        my $answer = $self->{http}->get("$self->{base}/status");
        return $answer->{success} && $JSON->decode($answer->{content})->{value}{ready};
    }) or croak 'chromedriver does not answer';
    my $created = $self->_call(POST => '/session', {
        capabilities => { alwaysMatch => {
            browserName          => 'chrome',
            'goog:chromeOptions' => {
                args => [@OPTIONS, "--user-data-dir=$dir/chromium.$port",
                    '--window-size=' . ($o{size} // '1280,900'), @{ $o{options} // [] }],
            },
        } },
    });
    $self->{session} = "/session/$created->{sessionId}";
    return $self;
}

sub _call {
    my ($self, $method, $path, $body) = @_;
    my $answer = $self->{http}->request($method, $self->{base} . $path, {
        headers => { 'Content-Type' => 'application/json' },
        $body ? (content => $JSON->encode($body)) : (),
    });
    my $value = eval { $JSON->decode($answer->{content})->{value} };
    croak "$method $path: " . (ref $value ? $value->{message} : $answer->{content})
        if !$answer->{success};
    return $value;
}

sub _do { my ($self, $path, $body) = @_; return $self->_call(POST => "$self->{session}/$path", $body // {}) }

# As typed into the address bar. Returns when the page is loaded.
sub open    { my ($self, $url) = @_; $self->_do(url => { url => $url }); return $self }
sub back    { my ($self) = @_; $self->_do('back'); return $self }
sub refresh { my ($self) = @_; $self->_do('refresh'); return $self }
sub url     { my ($self) = @_; return $self->_call(GET => "$self->{session}/url") }

# JavaScript in the page, synchronously, or with a callback as last argument.
sub script {
    my ($self, $script, @arguments) = @_;
    return $self->_do('execute/sync', { script => $script, args => \@arguments });
}

sub script_async {
    my ($self, $script, @arguments) = @_;
    return $self->_do('execute/async', { script => $script, args => \@arguments });
}

# What a person reads.
sub text { my ($self) = @_; return $self->script('return document.body.innerText') }

# Clicks the link with these words and waits for what it leads to.
sub follow {
    my ($self, $words) = @_;
    my $element = $self->_do(element => { using => 'link text', value => $words });
    my ($id) = values %$element;
    $self->_do("element/$id/click");
    return $self;
}

sub set_cookie {
    my ($self, $name, $value) = @_;
    return $self->_do(cookie => { cookie => { name => $name, value => $value } });
}

sub cookies { my ($self) = @_; return @{ $self->_call(GET => "$self->{session}/cookie") } }

sub stop {
    my ($self) = @_;
    return if !$self->{driver} || $self->{owner} != $$;
    eval { $self->_call(DELETE => $self->{session}) } if $self->{session};
    (delete $self->{driver})->stop('TERM');
    return;
}

sub DESTROY { local ($?, $@, $!); $_[0]->stop }

1;
