# Our objects, and only ours, are C++20. nginx knows one set of flags for all
# its sources, so make's target-specific variables carry the difference.

entitle_objs=

for entitle_src in $entitle_srcs; do
    entitle_obj=`basename $entitle_src .cc`.$ngx_objext
    entitle_obj=addon/`basename \`dirname $entitle_src\``/$entitle_obj
    entitle_objs="$entitle_objs $NGX_OBJS/$entitle_obj"
done

cat << END                                                    >> $NGX_MAKEFILE

$entitle_objs: CFLAGS := \$(patsubst -O,-O2,\$(CFLAGS)) -std=c++20 \\
	-Wextra -Wshadow -fvisibility=hidden -I $entitle_dir

END
