<?php
// Asked by nginx alone. Reads the session and does not keep it locked.
session_start(['read_and_close' => true]);
if (!isset($_SESSION['user'])) {
    http_response_code(401);
    exit;
}
header('X-User: ' . $_SESSION['user']);
http_response_code(204);
