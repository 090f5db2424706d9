# ./dev lint sees what it is there for: a small tree, one fault a time, and
# each check names it. Objects are made here, with the compiler alone.
use strict;
use warnings;
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $lint = "$FindBin::Bin/../lint";

my %clean = (
    'lint/rooms' => "core/base\ncore/access\nngx_module/root nginx.h module.cc\n"
        . "ngx_module/gate\n",
    'core/base/hex.h' => "// Hex.\nnamespace e { int hex(int n); }\n",
    'core/base/hex.cc' => qq{#include "core/base/hex.h"\n}
        . "namespace e { int hex(int n) { return n + 1; } }\n",
    'core/access/access.h' => "// Access.\nnamespace e { int access(int n); }\n",
    'core/access/access.cc' => qq{#include "core/access/access.h"\n}
        . qq{#include "core/base/hex.h"\n}
        . "namespace e { int access(int n) { return hex(n) + 2; } }\n",
    'ngx_module/nginx.h' => "// nginx.\n",
    'ngx_module/module.cc' => qq{extern "C" { extern int handle; int handle = 1; }\n},
    'ngx_module/gate/gate.cc' => qq{#include "core/access/access.h"\n}
        . qq{extern "C" { extern int handle, gate; int gate = e::access(handle); }\n},
    'ngx_module/exports.map' => "{ global: ngx_modules; local: *; };\n",
    'objs/m_modules.cc' => 'extern "C" { extern int handle, gate;'
        . ' int* ngx_modules[] = {&handle, &gate}; }',
);

sub write_file {
    my ($path, $text) = @_;
    (my $folder = $path) =~ s{/[^/]+$}{};
    make_path($folder);
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
}

# What was compiled is compiled: most trees differ in one file.
my $objects = tempdir(CLEANUP => 1);
my %compiled;

sub compile {
    my ($tree, $source, $object, %files) = @_;
    (my $folder = $object) =~ s{/[^/]+$}{};
    make_path($folder);
    my $all = join "\0", $source,
        map { $_, $files{$_} } grep { $_ eq $source || /\.h$/ } sort keys %files;
    if (!$compiled{$all}) {
        my $new = "$objects/" . keys %compiled;
        system('c++', '-std=c++20', '-w', '-I', $tree, '-c', "$tree/$source", '-o', $new)
            == 0 or die "no object of $source\n";
        $compiled{$all} = $new;
    }
    copy($compiled{$all}, $object) or die "$object: $!";
}

# Exit status and output of a check on the clean tree with these files instead.
sub check {
    my ($check, %changed) = @_;
    my $tree  = tempdir(CLEANUP => 1);
    my %files = (%clean, %changed);
    write_file("$tree/$_", $files{$_}) for keys %files;
    my @options = ('--tree', $tree);
    if ($check =~ /^(?:edges|unused)$/) {
        for (grep { m{^(?:core|ngx_module)/.*\.cc$} } keys %files) {
            my ($name) = m{([^/]+/[^/]+)\.cc$};
            compile($tree, $_, "$tree/objs/addon/$name.o", %files);
        }
        compile($tree, 'objs/m_modules.cc', "$tree/objs/m_modules.o", %files);
        push @options, '--objects', "$tree/objs";
    }
    open my $out, '-|', $^X, "$lint/$check", @options or die "$check: $!";
    my $said = do { local $/; readline $out } // '';
    close $out;
    return ($? >> 8, $said);
}

for my $check (qw(edges unused clashes look)) {
    my ($status, $said) = check($check);
    is "$status $said", '0 ', "$check: a clean tree is clean";
}

sub fails {
    my ($check, $what, $said_to_be, %changed) = @_;
    my ($status, $said) = check($check, %changed);
    is $status, 1, "$check: $what fails";
    like $said, $said_to_be, '... and is named';
}

fails('edges', 'an include that points up',
    qr{^core/base/hex\.cc:1: includes core/access/access\.h of core/access}m,
    'core/base/hex.cc' => qq{#include "core/access/access.h"\n}
        . qq{namespace e { int hex(int n) { return n; } }\n});
fails('edges', 'a symbol from above, without any include',
    qr{^core/base/hex\.cc: uses e::access of core/access \(core/access/access\.cc\)}m,
    'core/base/hex.cc' => "namespace e { int access(int);\n"
        . "int hex(int n) { return access(n); } }\n");
fails('edges', 'a type of above that is only named',
    qr{^core/base/hex\.h:2: forward-declares e::Access of core/access}m,
    'core/base/hex.h' => "// Hex.\nnamespace e { struct Access; int hex(int n); }\n",
    'core/access/access.h' =>
        "// Access.\nnamespace e { struct Access { int n; }; int access(int n); }\n");
fails('edges', 'a definition that is not at home',
    qr{^core/access/access\.cc: defines e::hex, which core/base/hex\.h declares}m,
    'core/base/hex.cc' => '',
    'core/access/access.cc' => "namespace e { int hex(int n) { return n; }\n"
        . "int access(int n) { return hex(n); } }\n");
fails('edges', 'a file in no room',
    qr{^core/attic/old\.h: is in no room}m, 'core/attic/old.h' => "// Old.\n");
fails('edges', 'a clock in core', qr{^core/base/hex\.cc:3: reads a clock}m,
    'core/base/hex.cc' => "#include <chrono>\nnamespace e { int hex(int n) {\n"
        . "return n + std::chrono::steady_clock::now().time_since_epoch().count(); } }\n");
fails('edges', 'a socket in core', qr{^core/base/hex\.cc:1: includes <sys/socket\.h>}m,
    'core/base/hex.cc' => "#include <sys/socket.h>\n$clean{'core/base/hex.cc'}");
fails('edges', 'nginx past nginx.h',
    qr{^ngx_module/gate/own\.h:2: includes <ngx_http\.h>}m,
    'ngx_module/gate/own.h' => "// Own.\n#include <ngx_http.h>\n");
my %tool = ('lint/rooms' => "$clean{'lint/rooms'}cli/command\n");
fails('edges', 'a tool that uses the module',
    qr{^cli/command/main\.cc:1: includes ngx_module/gate/own\.h of ngx_module/gate}m,
    %tool, 'ngx_module/gate/own.h' => "// Own.\n",
    'cli/command/main.cc' => qq{#include "ngx_module/gate/own.h"\n});
fails('edges', 'a core that uses the tool',
    qr{^core/base/hex\.cc:1: includes cli/command/own\.h of cli/command}m,
    %tool, 'cli/command/own.h' => "// Own.\n",
    'core/base/hex.cc' => qq{#include "cli/command/own.h"\n$clean{'core/base/hex.cc'}});
fails('clashes', 'one object of two sources',
    qr{^core/gate/gate\.cc and ngx_module/gate/gate\.cc both make addon/gate/gate\.o}m,
    'core/gate/gate.cc' => '');

fails('unused', 'a function that nobody uses',
    qr{^core/base/hex\.cc: defines e::unhex\(int\): nobody uses it}m,
    'core/base/hex.cc' =>
        "$clean{'core/base/hex.cc'}namespace e { int unhex(int n) { return n; } }\n");
fails('unused', 'a function that the tests alone use', qr{e::unhex\(int\): only lua-free-tests}m,
    'core/base/hex.cc' =>
        "$clean{'core/base/hex.cc'}namespace e { int unhex(int n) { return n; } }\n",
    'lua-free-tests/base/hex_test.cc' => "int main() { return e::unhex(0); }\n");
{
    my %template = (
        'core/access/rules.h' => "// Rules.\nnamespace e { template <class T>\n"
            . "int rules(T t) { return t.now(); } }\n",
        'core/access/access.cc' => qq{#include "core/access/access.h"\n}
            . qq{#include "core/access/rules.h"\n#include "core/base/hex.h"\n}
            . "namespace e { struct Client { int n; __attribute__((always_inline)) int now(); };\n"
            . "int Client::now() { return n; }\n"
            . "int access(int n) { Client c{n}; return hex(rules(c)); } }\n");
    my ($status, $said) = check('unused', %template);
    is "$status $said", '0 ', 'unused: what a template of a header calls is used';
}
{
    my ($status, $said) = check('unused', %tool,
        'core/base/hex.h' => "// Hex.\nnamespace e { int hex(int n); int unhex(int n); }\n",
        'core/base/hex.cc' =>
            "$clean{'core/base/hex.cc'}namespace e { int unhex(int n) { return n; } }\n",
        'cli/command/main.cc' => qq{#include "core/base/hex.h"\nint main() { return e::unhex(0); }\n});
    is "$status $said", '0 ', 'unused: what the tool uses is used';
}
fails('unused', 'a name of a header that stands nowhere else',
    qr{^core/base/hex\.h:2: declares e::kDigits: nobody uses it}m,
    'core/base/hex.h' =>
        "// Hex.\nnamespace e { inline constexpr int kDigits = 16; int hex(int n); }\n");

for ([qr{^core/base/hex\.h:1: says nothing about itself}m,
        'core/base/hex.h' => "namespace e { int hex(int n); }\n"],
    [qr{^core/base/hex\.cc:1: hex has 62 lines}m,
        'core/base/hex.cc' => "int hex(int n) {\n" . "n++;\n" x 60 . "}\n"],
    [qr{^core/base/hex\.cc: has 401 lines}m, 'core/base/hex.cc' => "\n" x 401])
{
    my ($expected, @changed) = @$_;
    my ($status, $said) = check('look', @changed);
    is $status, 0, 'look: never fails';
    like $said, $expected, '... and says what to look at';
}

done_testing;
