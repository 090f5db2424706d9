<?php
/**
 * Plugin Name: entitle
 * Description: Private pages and posts are open to whom nginx says has paid for them.
 *
 * Put this file into wp-content/mu-plugins and make what is paid for private.
 * WordPress then keeps it from everybody at every address it has one for (search,
 * feeds, REST, ?pagename=, sitemaps), and this lets in whoever nginx says holds
 * the entitlement below. docs/sessions.md has the nginx that belongs to it, and
 * docs/gating.md why a gate on /members/ alone is not enough.
 *
 * In wp-config.php: define('ENTITLE_PRIVATE', 'pro');
 */

if (!defined('ABSPATH')) {
    exit;
}

// The name that entitle_require has in nginx. Not defined: nobody is let in.
function entitle_opens_private(): bool
{
    if (!defined('ENTITLE_PRIVATE') || ENTITLE_PRIVATE === '') {
        return false;
    }
    // Clients cannot set these two: nginx removes them from every request.
    $held = explode(',', $_SERVER['HTTP_X_ENTITLE_ENTITLEMENTS'] ?? '');
    $user = $_SERVER['HTTP_X_ENTITLE_USER'] ?? '';
    return in_array(ENTITLE_PRIVATE, $held, true)
        && $user !== '' && $user === (string) get_current_user_id();
}

// To read only: whoever may edit is WordPress' business.
add_filter('user_has_cap', function (array $has, array $needed, array $asked, $user): array {
    if ($user->ID === get_current_user_id() && entitle_opens_private()) {
        $has['read_private_pages'] = true;
        $has['read_private_posts'] = true;
    }
    return $has;
}, 10, 4);

// What was made for one who has paid is nobody else's: no cache of WordPress or
// of what stands before it keeps it.
add_action('send_headers', function (): void {
    if (entitle_opens_private()) {
        if (!defined('DONOTCACHEPAGE')) {
            define('DONOTCACHEPAGE', true);
        }
        nocache_headers();
    }
});

add_filter('private_title_format', function (): string {
    return '%s';
});

// Who is asking: entitle_reauth, by way of wp-admin/admin-ajax.php.
add_action('wp_ajax_entitle_whoami', function (): void {
    header('X-User: ' . get_current_user_id());
    status_header(204);
    exit;
});
add_action('wp_ajax_nopriv_entitle_whoami', function (): void {
    status_header(401);
    exit;
});
