<?php
// Stands for your login: any name with the password "secret".
session_start();
if ($_SERVER['REQUEST_METHOD'] === 'POST' && preg_match('/^\w+$/', $_POST['user'] ?? '')
        && ($_POST['password'] ?? '') === 'secret') {
    session_regenerate_id(true);
    $_SESSION['user'] = $_POST['user'];
    $next = $_GET['next'] ?? '/';
    // A path of ours, never another host.
    header('Location: ' . (preg_match('#^/(?![/\\\\])#', $next) ? $next : '/'), true, 303);
    exit;
}
?>
<form method="post"><input name="user"><input name="password" type="password"><button>Log in</button></form>
