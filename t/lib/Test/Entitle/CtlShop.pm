package Test::Entitle::CtlShop;

# A shop as the tool's tests want it: /course is for who has pro, which a session
# with metadata plan=pro gives, and who somebody is X-User says.
#
#   my $shop = Test::Entitle::CtlShop->new;
#   $shop->site, $shop->ctl, $shop->conf     the words that lead the tool there
#   $shop->course('ann')                     the status of /course for her
#   $shop->session(1, 'ann', plan => 'gold') cs_1 of cus_1: its outcome; event: its id

use strict;
use warnings;

use Test::Entitle;
use Test::Entitle::Ctl;

sub new {
    my ($class) = @_;
    my $site = Test::Entitle->new;
    $site->redis;
    $site->write_file('html/course', 'the course');
    $site->start(<<'EOF_CONF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro price_Pro metadata.plan=pro;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /course { entitle_require pro; }
}
EOF_CONF
    return bless { site => $site, ctl => Test::Entitle::Ctl->new }, $class;
}

sub site { $_[0]{site} }
sub ctl  { $_[0]{ctl} }
sub conf { return ('--config', "$_[0]{site}{dir}/nginx.conf") }

sub course { my ($self, $user) = @_; return $self->{site}->get('/course', 'X-User' => $user)->status }

sub session {
    my ($self, $n, $user, %o) = @_;
    return $self->{site}->webhook(event_json('checkout.session.completed.payment', user => $user,
        'id'                         => $o{event} // "evt_$n",
        'data.object.id'             => "cs_$n",
        'data.object.customer'       => "cus_$n",
        'data.object.payment_intent' => "pi_$n",
        'data.object.payment_link'   => undef,
        'data.object.client_reference_id' => undef,
        'data.object.metadata' => { $user eq '' ? () : (userId => $user), plan => $o{plan} // 'pro' },
    ))->json->{outcome};
}

1;
