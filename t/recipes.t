# The recipes of recipes/ with the real applications: guest, login, unpaid, pays, in,
# second tab, other doors, cancels, out, pays again, logs out, logs in as somebody else.
# Those that take hundreds of packages are in t/recipes/: ./dev recipes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Docs qw(blocks page tree);
use Test::Entitle::GateApp;
use Test::Entitle::Recipe qw(log_in_at);

my $recipes = "$Test::Entitle::ROOT/recipes";

# --- plain PHP ---------------------------------------------------------------

{
    my ($fpm) = glob '/usr/sbin/php-fpm*';
    my $temp = Test::Entitle->new;
    my $conf = $temp->write_file('fpm.conf', <<"END");
[global]
error_log = %DIR%/fpm.log
daemonize = no
[www]
listen = %DIR%/php.sock
pm = static
pm.max_children = 2
@{[$> == 0 ? "user = root\ngroup = root" : '']}
php_admin_value[session.save_path] = %DIR%
php_admin_value[error_log] = %DIR%/php.log
END
    my $dir = $temp->dir;
    $temp->write_file('fpm.conf', $temp->read_file('fpm.conf') =~ s/%DIR%/$dir/gr);
    my $recipe = Test::Entitle::Recipe->new('php',
        command => [$fpm // 'php-fpm', '-n', '-F', $> == 0 ? '-R' : (), '-y', $conf], socket => "$dir/php.sock",
        change  => ['unix:/run/php/php-fpm.sock' => "unix:$dir/php.sock", '/srv/site' => "$recipes/php/site",
            'include fastcgi_params' => 'include /etc/nginx/fastcgi_params']);
    $recipe->journey(page => '/course/lesson.php', ids => { ada => 'ada', bob => 'bob' },
        login => log_in_at('/login.php'), logout => '/logout.php',
        doors => ['/course/lesson.php/x', '/login.php/../course/lesson.php', '/Course/lesson.php', '/course//lesson.php',
            '//course/lesson.php', '/course/lesson.php%00', '/course/notes.html', '/course/%6cesson.php',
            '/login.php/course/lesson.php', '/whoami.php/course/lesson.php']);
    is $recipe->site->get('/whoami')->status, 404, 'nobody asks who it is but nginx';
    is -s "$dir/php.log" // 0, 0, 'PHP has nothing to complain of';
    $recipe->site->expect_alert(qr/\[error\].*(?:No such file|FastCGI sent in stderr|is not found)/);
    $recipe->finish;
}

# --- Django ------------------------------------------------------------------

{
    my $recipe = Test::Entitle::Recipe->new('django', app => '127.0.0.1:8000',
        command => ['/usr/bin/python3', '-B', "$recipes/django/shop.py", '%DIR%/db.sqlite3', '%PORT%']);
    $recipe->journey(page => '/courses/lesson/', ids => { ada => 1, bob => 2 },
        login => log_in_at('/accounts/login/'), logout => '/accounts/logout/',
        doors => ['/courses/lesson', '/Courses/lesson/', '//courses/lesson/', '/courses//lesson/', '/x/../courses/lesson/',
            '/%63ourses/lesson/', '/courses%2flesson/', '/./courses/lesson/']);
    is $recipe->site->get('/whoami/')->status, 401, 'what Django says to others of who they are is no secret';
    $recipe->finish;
    my ($code) = page('recipes/django/shop.py') =~ /^(def whoami.*?)^\n/ms;
    ok scalar grep({ $_->{language} eq 'python' && $_->{text} eq $code } blocks('docs/sessions.md')),
        'docs/sessions.md shows the same';
}

# --- an app that cannot be changed -------------------------------------------

{
    my $holder = Test::Entitle->new;
    my %id = (ada => 7, bob => 8);
    my %sessions;
    my $app = Test::Entitle::GateApp->new($holder, sub {
        my ($r) = @_;
        my $user = $sessions{ $r->{cookies}{sid} // '' };
        my ($path) = $r->{uri} =~ /^([^?]*)/;
        return { body => $user ? qq({"user":{"id":$id{$user},"name":"$user"}}) : '{"user":null}',
            headers => ['Content-Type' => 'application/json'] } if $path eq '/api/session';
        if ($path eq '/logout') {
            delete $sessions{ $r->{cookies}{sid} // '' };
            return { status => 303, headers => [Location => '/login', 'Set-Cookie' => 'sid=; Max-Age=0'] };
        }
        if ($r->{method} eq 'POST' && $r->{body} =~ /user=(\w+)/) {
            my $sid = sprintf '%08x%08x', rand 2**32, rand 2**32;
            $sessions{$sid} = $1;
            return { status => 303, headers => [Location => '/', 'Set-Cookie' => "sid=$sid; Path=/"] };
        }
        return { body => "The lesson, for $id{$user}." } if $path =~ m{^/reports/} && $user;
        return { body => 'something else' };
    });
    my $recipe = Test::Entitle::Recipe->new('json', change => ['127.0.0.1:9000' => '127.0.0.1:' . $app->port]);
    $recipe->journey(page => '/reports/1', ids => \%id, login => log_in_at('/login'), logout => '/logout',
        doors => ['/x/../reports/1', '//reports/1', '/%72eports/1']);
    is $recipe->site->get('/_whoami')->status, 404, 'nobody asks who it is but nginx';
    $recipe->finish;
    $app->stop;
}

# --- all of them -------------------------------------------------------------

# Here and in t/recipes/ by their names, elsewhere by a file of theirs.
my %tried = map { $_ => 1 } map { my $test = page($_); $test =~ /Recipe->new\('(\w+)'/g, $test =~ m{\brecipes/(\w+)/\w}g }
    grep { m{^t/.*\.t$} } tree();
my %there = map { m{^recipes/(\w+)/} ? ($1 => 1) : () } tree();
is_deeply [sort keys %tried], [sort keys %there], 'no recipe is untried';
ok page('docs/README.md') =~ m{\(\.\./recipes/$_/}, "  and $_ is in the index" for sort keys %there;
done_testing;
