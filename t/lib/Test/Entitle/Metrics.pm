package Test::Entitle::Metrics;

# What entitle_status tells Prometheus, as data.
#
#   my $before = metrics($site);                # { 'name{label="x"}' => number }
#   my $added = difference($before, metrics($site));

use strict;
use warnings;

use Exporter qw(import);
use Test::More ();

our @EXPORT_OK = qw(metrics difference samples families);

sub text { my ($site) = @_; return $site->get('/status?format=prometheus')->body }

# Each sample as it stands: [name, { label => value }, number].
sub samples {
    my ($text) = @_;
    my @samples;
    for my $line (grep { !/^#/ } split /\n/, $text) {
        my ($name, $labels, $number) = $line =~ /^(\w+)(\{.*\})? (\S+)$/
            or Test::More::fail("no sample: $line"), next;
        my %labels;
        $labels{$1} = $2 =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ger
            while ($labels // '') =~ /[{,](\w+)="((?:[^"\\]|\\.)*)"/g;
        push @samples, [$name, \%labels, $number];
    }
    return @samples;
}

# { name => type }, as said by "# TYPE".
sub families { return { $_[0] =~ /^# TYPE (\w+) (\w+)$/mg } }

sub metrics {
    my ($site) = @_;
    return { map { /^([^#]\S*(?:\{.*\})?) (\S+)$/ ? ($1 => $2) : () } split /\n/, text($site) };
}

sub difference {
    my ($before, $after) = @_;
    my %by;
    for (keys %$after) {
        my $more = $after->{$_} - ($before->{$_} // 0);
        $by{$_} = $more if $more != 0;
    }
    return \%by;
}

1;
