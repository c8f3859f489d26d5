<?php
/**
 * Plugin Name: Strongroom for WooCommerce (a sketch)
 * Description: Moves who was billed and where the parcel goes out of the shop's database, into Strongroom.
 * Version: 0.1
 * Requires PHP: 8.1
 * Requires Plugins: woocommerce
 *
 * A sketch to begin with, tried against stand-ins for WordPress, not in a live shop. Ten minutes after an order is
 * paid, when payment and mails have had what they need, the order's personal columns become two records in Strongroom,
 * an invoice and a parcel, and are emptied here. Until then they are where they were, and in copies of the database
 * made until then (backups, MySQL's binary logs) they stay.
 *
 * It does NOT cover:
 * - what WooCommerce and WordPress keep elsewhere: the analytics table `wc_customer_lookup`, carts in
 *   `woocommerce_sessions`, `wp_users` (login, e-mail, display name), order notes, logs, exports, the mail plugin's log;
 * - what a payment gateway or a courier's plugin copies into its own order meta;
 * - mails and PDF invoices made after the move ("order completed"): send those through an outlet of Strongroom;
 * - refunds and repeat payments whose gateway wants the address again;
 * - orders that are never paid: have WooCommerce delete them (Settings, Accounts & Privacy, retention);
 * - orders from before: `wp eval 'foreach (wc_get_orders(["limit" => -1, "return" => "ids"]) as $id) strongroom_move($id);'`
 *   after a backup of your own, or `strongroom import --map woocommerce` for the customers alone.
 *
 * The policy needs policy-part.toml. In wp-config.php, the key outside of the web folder (`key new --role shop --purpose support --purpose delivery`):
 *   define('STRONGROOM_URL', 'https://vault.office.lan:8720');
 *   define('STRONGROOM_KEY_FILE', '/etc/strongroom/shop.key');
 */

declare(strict_types=1);

defined('ABSPATH') || exit;

const STRONGROOM_WAIT_SECONDS = 600;
const STRONGROOM_EMPTIED = ['first_name', 'last_name', 'company', 'address_1', 'address_2', 'city', 'state', 'postcode', 'phone'];

/** Why it was refused, or that Strongroom does not answer (503). Codes alone: WordPress may log the message. */
final class Strongroom_Problem extends RuntimeException {}

/** One call. Personal data belongs into the body, never into the path. */
function strongroom_call(string $method, string $path, ?array $body = null, array $headers = []): ?array {
    $key = trim((string) file_get_contents(STRONGROOM_KEY_FILE));
    $staff = get_current_user_id();
    $answer = wp_remote_request(STRONGROOM_URL . $path, [
        'method' => $method,
        'timeout' => 10,
        'redirection' => 0,
        'body' => $body === null ? null : wp_json_encode($body),
        'headers' => $headers + ['Authorization' => "Bearer $key", 'Content-Type' => 'application/json',
            'Strongroom-Purpose' => 'support'] + ($staff ? ['Strongroom-On-Behalf-Of' => "staff-$staff"] : []),
    ]);
    if (is_wp_error($answer)) {
        throw new Strongroom_Problem('unreachable', 503);
    }
    $status = (int) wp_remote_retrieve_response_code($answer);
    $said = json_decode(wp_remote_retrieve_body($answer), true);
    if ($status < 200 || $status >= 300) {
        throw new Strongroom_Problem((string) ($said['code'] ?? 'unreachable'), $status);
    }
    return $said;
}

/** Not at the checkout: the gateway and the first mails still read the columns. */
add_action('woocommerce_order_status_processing', 'strongroom_move_later');
add_action('woocommerce_order_status_completed', 'strongroom_move_later');
add_action('strongroom_move', 'strongroom_move_or_try_again');

function strongroom_move_later(int $order_id): void {
    if (!as_has_scheduled_action('strongroom_move', [$order_id])) {
        as_schedule_single_action(time() + STRONGROOM_WAIT_SECONDS, 'strongroom_move', [$order_id]);
    }
}

/** While Strongroom is down nothing is emptied; a refusal is somebody's to mend, and tried again as well. */
function strongroom_move_or_try_again(int $order_id): void {
    try {
        strongroom_move($order_id);
    } catch (Strongroom_Problem $problem) {
        wc_get_logger()->error("order $order_id is not in Strongroom yet: {$problem->getMessage()}");
        as_schedule_single_action(time() + STRONGROOM_WAIT_SECONDS, 'strongroom_move', [$order_id]);
    }
}

/** Each step can be done again: what was interrupted is finished by the next try. */
function strongroom_move(int $order_id): void {
    $order = wc_get_order($order_id);
    if (!$order || $order->get_meta('_strongroom_parcel')) {
        return;
    }
    $customer = strongroom_customer($order);
    strongroom_record($order, $customer, 'invoice', ['number' => $order->get_order_number(),
        'total' => $order->get_total(), 'billing_name' => strongroom_name($order, 'billing'),
        'billing_address' => strongroom_address($order, 'billing')]);
    $to = strongroom_to($order);
    $parcel = strongroom_record($order, $customer, 'parcel',
        ['name' => strongroom_name($order, $to), 'address' => strongroom_address($order, $to)]);
    $order->update_meta_data('_strongroom_parcel', "$customer/records/$parcel");
    foreach (STRONGROOM_EMPTIED as $column) {
        $order->{"set_billing_$column"}('');
        $order->{"set_shipping_$column"}('');
    }
    $order->set_billing_email('');
    $order->set_customer_note('');
    $order->set_customer_ip_address('');
    $order->set_customer_user_agent('');
    // These two are made of the columns above, for the search in the admin pages.
    $order->delete_meta_data('_billing_address_index');
    $order->delete_meta_data('_shipping_address_index');
    $order->save();
    foreach ($order->get_customer_id() ? [...STRONGROOM_EMPTIED, 'email'] : [] as $column) {
        delete_user_meta($order->get_customer_id(), "billing_$column");
        delete_user_meta($order->get_customer_id(), "shipping_$column");
    }
}

/** The customer's id: under the shop's own number, or who already has this e-mail address. */
function strongroom_customer(WC_Order $order): string {
    $number = $order->get_customer_id() ? "user-{$order->get_customer_id()}" : "guest-{$order->get_id()}";
    try {
        return strongroom_call('PUT', "/v1/customers/ref/woocommerce/$number", [
            'relations' => [['name' => 'purchase', 'last' => $order->get_date_created()->date('c')]],
            'fields' => ['name' => strongroom_name($order, 'billing'), 'email' => $order->get_billing_email(),
                'address' => strongroom_address($order, 'billing')],
        ])['id'];
    } catch (Strongroom_Problem $problem) {
        if ($problem->getCode() !== 409) {
            throw $problem;
        }
    }
    // A guest who has bought before. Whoever types an address must not change what is kept about its owner.
    $found = strongroom_call('POST', '/v1/customers/lookup', ['email' => $order->get_billing_email()])['customers'];
    return $found[0] ?? throw new Strongroom_Problem('conflict', 409);
}

function strongroom_record(WC_Order $order, string $customer, string $kind, array $fields): string {
    $issued = $order->get_date_created()->date('Y-m-d');
    return strongroom_call('POST', "/v1/customers/$customer/records",
        ['kind' => $kind, 'issued' => $issued, 'fields' => $fields],
        ['Idempotency-Key' => "woocommerce-$kind-{$order->get_id()}"])['id'];
}

function strongroom_to(WC_Order $order): string {
    return $order->get_shipping_address_1() !== '' ? 'shipping' : 'billing';
}

function strongroom_name(WC_Order $order, string $which): string {
    return trim($order->{"get_{$which}_first_name"}() . ' ' . $order->{"get_{$which}_last_name"}());
}

function strongroom_address(WC_Order $order, string $which): array {
    $get = fn(string $column): string => (string) $order->{"get_{$which}_$column"}();
    $lines = array_values(array_filter([$get('company'), $get('address_1'), $get('address_2')]));
    return ['lines' => $lines, 'city' => $get('city'), 'postcode' => $get('postcode'), 'country' => $get('country')];
}

/** Where the columns stood in the order's page: read for whoever looks, and written down there. */
add_action('woocommerce_admin_order_data_after_shipping_address', 'strongroom_show');

function strongroom_show(WC_Order $order): void {
    $parcel = $order->get_meta('_strongroom_parcel');
    if (!$parcel || !current_user_can('edit_shop_orders')) {
        return;
    }
    try {
        $shown = strongroom_call('GET', "/v1/customers/$parcel?fields=parcel.name,parcel.address", null,
            ['Strongroom-Purpose' => 'delivery'])['fields'];
        $lines = [$shown['name'] ?? '', ...($shown['address']['lines'] ?? []),
            trim(($shown['address']['postcode'] ?? '') . ' ' . ($shown['address']['city'] ?? ''))];
        echo '<p>' . implode('<br>', array_map('esc_html', array_filter($lines))) . '</p>';
    } catch (Strongroom_Problem $problem) {
        $said = ['404' => 'This customer has been forgotten.', '429' => 'Enough addresses for today.'];
        $words = $said[$problem->getCode()] ?? 'Strongroom cannot be asked just now; please try again in a minute.';
        echo '<p role="alert">' . esc_html($words) . '</p>';
    }
}
