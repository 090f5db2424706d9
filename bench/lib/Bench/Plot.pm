package Bench::Plot;

# Plain SVG from numbers: horizontal stacked bars, and small panels of curves.
# No script, no font but the reader's own sans-serif, a white ground.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(bars panels);

my @COLOURS = ('#2f6fb0', '#e08a2c', '#9a9a9a', '#4a9a5a');
my $INK     = '#222222';
my $FAINT   = '#dddddd';

sub _escape { return $_[0] =~ s/&/&amp;/gr =~ s/</&lt;/gr =~ s/>/&gt;/gr }

sub _text {
    my ($x, $y, $text, %o) = @_;
    return sprintf '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s"%s>%s</text>'
        . "\n", $x, $y, $o{size} // 13, $o{anchor} // 'start', $o{fill} // $INK,
        $o{bold} ? ' font-weight="bold"' : '', _escape($text);
}

sub _line {
    my ($x1, $y1, $x2, $y2, $colour) = @_;
    return sprintf '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>' . "\n",
        $x1, $y1, $x2, $y2, $colour;
}

sub _svg {
    my ($width, $height, $title, $body) = @_;
    return sprintf qq{<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" }
        . qq{width="%d" height="%d" font-family="sans-serif" role="img">\n}
        . qq{<title>%s</title>\n<rect width="100%%" height="100%%" fill="white"/>\n%s</svg>\n},
        $width, $height, $width, $height, _escape($title), $body;
}

# The least of 1, 2, 5, 10 ... that gives at most so many steps.
sub _step {
    my ($most, $steps) = @_;
    my $power = 10**(int(log($most / $steps) / log 10) - 1);
    while (1) {
        for my $n (1, 2, 5) {
            return $n * $power if $most / ($n * $power) <= $steps;
        }
        $power *= 10;
    }
}

# title, unit, parts => [names of the stacked parts],
# rows => [[name, [a value for each part]], ...]
sub bars {
    my (%o) = @_;
    my ($left, $right, $row, $top) = (330, 70, 26, 74);
    my $width  = 900;
    my $height = $top + $row * @{ $o{rows} } + 40;
    my $most   = 0;
    for my $one (@{ $o{rows} }) {
        my $sum = 0;
        $sum += $_ > 0 ? $_ : 0 for @{ $one->[1] };
        $most = $sum if $sum > $most;
    }
    my $scale = ($width - $left - $right) / $most;
    my $body  = _text(16, 26, $o{title}, size => 16, bold => 1);
    my $x     = $left;
    for my $n (0 .. $#{ $o{parts} }) {
        $body .= sprintf '<rect x="%.1f" y="40" width="12" height="12" fill="%s"/>' . "\n",
            $x, $COLOURS[$n];
        $body .= _text($x + 18, 51, $o{parts}[$n], size => 12);
        $x += 34 + 7 * length $o{parts}[$n];
    }
    my $bottom = $top + $row * @{ $o{rows} };
    my $step   = _step($most, 8);
    for (my $tick = 0; $tick <= $most; $tick += $step) {
        my $at = $left + $tick * $scale;
        $body .= _line($at, $top - 4, $at, $bottom, $FAINT);
        $body .= _text($at, $bottom + 16, $tick, size => 11, anchor => 'middle');
    }
    $body .= _text($width - 16, $bottom + 32, $o{unit}, size => 11, anchor => 'end');
    my $y = $top;
    for my $one (@{ $o{rows} }) {
        my ($name, $values) = @$one;
        $body .= _text($left - 10, $y + 16, $name, anchor => 'end', bold => scalar($name =~ /^entitle/));
        my ($at, $sum) = ($left, 0);
        for my $n (0 .. $#$values) {
            $sum += $values->[$n];
            next if $values->[$n] <= 0;
            $body .= sprintf '<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>' . "\n",
                $at, $y + 3, $values->[$n] * $scale, $row - 8, $COLOURS[$n];
            $at += $values->[$n] * $scale;
        }
        $body .= _text($at + 6, $y + 16, sprintf('%.1f', $sum), size => 12);
        $y += $row;
    }
    return _svg($width, $height, $o{title}, $body);
}

# title, panels => [{ title, x => axis label, y => axis label,
#   ticks => [labels, evenly spaced], curves => [[name, [a value per tick]]] }]
sub panels {
    my (%o) = @_;
    my ($w, $h, $gap, $top) = (300, 210, 56, 50);
    my $count  = @{ $o{panels} };
    my $width  = $count * ($w + $gap) + 10;
    my $height = $top + $h + 86;
    my $body   = _text(16, 26, $o{title}, size => 16, bold => 1);
    for my $n (0 .. $count - 1) {
        $body .= _panel($o{panels}[$n], $n * ($w + $gap) + $gap, $top + 20, $w - 10, $h);
    }
    return _svg($width, $height, $o{title}, $body);
}

sub _panel {
    my ($panel, $left, $top, $w, $h) = @_;
    my @values = map { @{ $_->[1] } } @{ $panel->{curves} };
    my ($most) = sort { $b <=> $a } @values, 1;
    my $step   = _step($most, 5);
    my $end    = $step * int($most / $step + 0.999);
    my $y_of   = sub { $top + $h - ($_[0] > 0 ? $_[0] : 0) / $end * $h };
    my $last   = $#{ $panel->{ticks} };
    my $x_of   = sub { $left + 14 + $_[0] / ($last || 1) * ($w - 28) };
    my $body   = _text($left, $top - 10, $panel->{title}, bold => 1);
    for (my $tick = 0; $tick <= $end + $step / 9; $tick += $step) {
        $body .= _line($left, $y_of->($tick), $left + $w, $y_of->($tick), $FAINT);
        $body .= _text($left - 6, $y_of->($tick) + 4, 0 + sprintf('%.2g', $tick), size => 11,
            anchor => 'end');
    }
    for my $i (0 .. $last) {
        $body .= _text($x_of->($i), $top + $h + 16, $panel->{ticks}[$i], size => 11,
            anchor => 'middle');
    }
    $body .= _text($left + $w / 2, $top + $h + 33, "$panel->{x}; y: $panel->{y}", size => 11,
        anchor => 'middle');
    for my $n (0 .. $#{ $panel->{curves} }) {
        my ($name, $ys) = @{ $panel->{curves}[$n] };
        my @points = map { sprintf '%.1f,%.1f', $x_of->($_), $y_of->($ys->[$_]) } 0 .. $last;
        $body .= qq{<polyline points="@points" fill="none" stroke="$COLOURS[$n]" }
            . qq{stroke-width="2"/>\n};
        $body .= join '', map {
            my ($x, $y) = split /,/;
            qq{<circle cx="$x" cy="$y" r="3" fill="$COLOURS[$n]"/>\n}
        } @points;
        my $at = $left + $n * 150;
        $body .= sprintf '<rect x="%.1f" y="%.1f" width="10" height="10" fill="%s"/>' . "\n",
            $at, $top + $h + 42, $COLOURS[$n];
        $body .= _text($at + 15, $top + $h + 51, $name, size => 11);
    }
    return $body;
}

1;
