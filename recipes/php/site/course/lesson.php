<p>The lesson, for <?= htmlspecialchars($_SERVER['HTTP_X_ENTITLE_USER'] ?? 'nobody') ?>.</p>
