package Test::Entitle::Dockerfile;

# A Dockerfile as a list of stages, of the instructions that ours has.
#
#   my @stages = Test::Entitle::Dockerfile::stages(page('Dockerfile'));
#   # { name, from, steps => [[WORD, text], ...] }

use strict;
use warnings;

use JSON::PP ();

sub stages {
    my ($text) = @_;
    $text =~ s/^#.*\n//mg;
    $text =~ s/\\\n\s*/ /g;
    my @stages;
    for my $line (grep { /\S/ } split /\n/, $text) {
        my ($word, $rest) = $line =~ /^([A-Z]+) +(.*?) *$/ or die "not an instruction: $line\n";
        if ($word eq 'FROM') {
            my ($from, $name) = $rest =~ /^(\S+) AS (\w+)$/ or die "no stage: $line\n";
            push @stages, { name => $name, from => $from, steps => [] };
        } else {
            push @{ $stages[-1]{steps} }, [$word, $rest];
        }
    }
    return @stages;
}

# The texts of all instructions of that word.
sub all { my ($stage, $word) = @_; return map { $_->[1] } grep { $_->[0] eq $word } @{ $stage->{steps} } }

# CMD as a list.
sub command { my ($stage) = @_; return @{ JSON::PP::decode_json((all($stage, 'CMD'))[-1]) } }

# What its apt-get installs.
sub packages {
    my ($stage) = @_;
    return sort map { grep { !/^-/ } split ' ' }
        map { /apt-get install (.*?)(?: &&|$)/g } all($stage, 'RUN');
}

1;
