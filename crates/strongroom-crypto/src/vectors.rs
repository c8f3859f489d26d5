//! Published test vectors, through this crate's own primitives. Every primitive has a set:
//!
//! | primitive | here in | published vectors |
//! |---|---|---|
//! | AES-256-GCM | `aead` | Wycheproof `aes_gcm`, all with 256-bit keys, 96-bit nonces, 128-bit tags |
//! | AES-256-GCM-SIV | `aead` | Wycheproof `aes_gcm_siv`, the same sizes |
//! | HKDF-SHA256 expand | `hkdf` | Wycheproof `hkdf_sha256`; RFC 5869, appendix A.1 to A.3 |
//! | HMAC-SHA-256 | `hmac` | Wycheproof `hmac_sha256`; RFC 4231, section 4.2 to 4.8 |
//! | HMAC-SHA-256 with a receiver's secret | `shared` | RFC 4231; the example of Standard Webhooks |
//! | SHA-256, at once and in pieces | `hash` | FIPS 180-4 examples; RFC 6234, section 8.5 (Wycheproof has none) |
//! | Ed25519, signing and checking | `sign` | Wycheproof `ed25519`; RFC 8032, section 7.1 |
//! | Argon2id | `stretch` | RFC 9106, section 5.3 |
//! | GF(256) of recovery shares | `shares::field` | FIPS 197, sections 4.2 and 5.1.1 |
//!
//! A new primitive gets a row and a test here before it is used.

use wycheproof::{TestResult, aead, eddsa, hkdf as hkdf_vectors, mac};

use crate::aead::{Aead, NONCE_SIZE_BYTES, TAG_SIZE_BYTES};
use crate::hmac::hmac_sha256;
use crate::{
    CryptoError, Plain, SecretKey, Sha256, SharedSecret, SigningKey, VerifyingKey,
    constant_time_eq, hkdf, sha256,
};

#[test]
fn wycheproof_aes_gcm() {
    check_aead(aead::TestName::AesGcm, Aead::gcm, 60);
}

#[test]
fn wycheproof_aes_gcm_siv() {
    check_aead(aead::TestName::AesGcmSiv, Aead::gcm_siv, 60);
}

/// All vectors with the sizes that this crate uses; at least `at_least` of them, so that a renamed
/// set cannot pass by being empty.
fn check_aead(
    name: aead::TestName,
    new: fn(&[u8; 32]) -> Result<Aead, CryptoError>,
    at_least: usize,
) {
    let mut checked = (0, 0);
    for group in aead::TestSet::load(name).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let aead = new(test.key.as_slice().try_into().unwrap()).unwrap();
            let nonce: [u8; NONCE_SIZE_BYTES] = test.nonce.as_slice().try_into().unwrap();
            let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let mut plain = vec![0; test.ct.len()];
            let opened = aead.open(nonce, &test.aad, &sealed, &mut plain);
            if test.result == TestResult::Invalid {
                assert_eq!(opened, Err(CryptoError::Tampered), "vector {}", test.tc_id);
                checked.1 += 1;
                continue;
            }
            assert_eq!(opened, Ok(()), "vector {}", test.tc_id);
            assert_eq!(plain, test.pt.as_slice(), "vector {}", test.tc_id);
            let mut again = vec![0; test.pt.len() + TAG_SIZE_BYTES];
            aead.seal(nonce, &test.aad, &test.pt, &mut again).unwrap();
            assert_eq!(again, sealed, "vector {}", test.tc_id);
            checked.0 += 1;
        }
    }
    assert!(checked.0 >= at_least / 2 && checked.0 + checked.1 >= at_least, "{checked:?}");
}

#[test]
fn wycheproof_hmac_sha256() {
    let mut checked = (0, 0);
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let tag = hmac_sha256(&test.key, [test.msg.as_slice()]);
            // Some vectors truncate; the crate itself never does.
            let same = constant_time_eq(&tag[..group.tag_size / 8], &test.tag);
            let valid = test.result == TestResult::Valid;
            assert_eq!(same, valid, "vector {}", test.tc_id);
            *(if valid { &mut checked.0 } else { &mut checked.1 }) += 1;
        }
    }
    assert!(checked.0 > 50 && checked.1 > 50, "{checked:?}");
}

#[test]
fn wycheproof_hkdf_sha256() {
    let mut checked = (0, 0);
    let set = hkdf_vectors::TestSet::load(hkdf_vectors::TestName::HkdfSha256).unwrap();
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let key = extract(&test.salt, &test.ikm);
        let mut okm = vec![0; test.size];
        let expanded = hkdf::expand(&key, &test.info, &mut okm);
        if test.result == TestResult::Invalid {
            assert_eq!(expanded, Err(CryptoError::TooLarge), "vector {}", test.tc_id);
            checked.1 += 1;
            continue;
        }
        assert_eq!(expanded, Ok(()), "vector {}", test.tc_id);
        assert_eq!(okm, test.okm.as_slice(), "vector {}", test.tc_id);
        checked.0 += 1;
    }
    assert!(checked.0 > 50 && checked.1 > 0, "{checked:?}");
}

#[test]
fn rfc_5869_appendix_a_hkdf_sha256() {
    let check = |ikm: &[u8], salt: &[u8], info: &[u8], prk: &str, okm: &str| {
        let key = extract(salt, ikm);
        assert_eq!(key.as_slice(), from_hex(prk));
        let mut out = vec![0; okm.len() / 2];
        hkdf::expand(&key, info, &mut out).unwrap();
        assert_eq!(out, from_hex(okm));
    };
    let bytes = |first: u8, last: u8| (first..=last).collect::<Vec<u8>>();
    check(
        &[0x0b; 22],
        &bytes(0x00, 0x0c),
        &bytes(0xf0, 0xf9),
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
    check(
        &bytes(0x00, 0x4f),
        &bytes(0x60, 0xaf),
        &bytes(0xb0, 0xff),
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
         59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
         cc30c58179ec3e87c14c01d5c1f3434f1d87",
    );
    check(
        &[0x0b; 22],
        &[],
        &[],
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    );
}

#[test]
fn rfc_4231_section_4_hmac_sha256() {
    let check = |key: &[u8], message: &[u8], tag: &str| {
        let known = from_hex(tag);
        let found = hmac_sha256(key, [message]);
        // Test case 5 truncates to 128 bits; the crate itself never does.
        assert_eq!(found[..known.len()], known);
        // What a receiver checks is the same function, where its secret has one of their sizes.
        if let Ok(secret) = SharedSecret::from_plain(&Plain::new(key.to_vec())) {
            assert_eq!(secret.sign(&[message]), found);
        }
    };
    let upwards: Vec<u8> = (1..=25).collect();
    let larger: &[u8] = b"This is a test using a larger than block-size key and a larger than \
        block-size data. The key needs to be hashed before being used by the HMAC algorithm.";
    for (key, message, tag) in [
        (
            &[0x0b; 20][..],
            &b"Hi There"[..],
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (&upwards, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        (&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (&[0xaa; 131], larger, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ] {
        check(key, message, tag);
    }
}

/// The worked example that the libraries of Standard Webhooks share.
#[test]
fn standard_webhooks_signature() {
    let secret = from_hex("31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0");
    let secret = SharedSecret::from_plain(&Plain::new(secret)).unwrap();
    let id = b"msg_p5jXN8AQM9LWM0D4loKWxJek";
    let tag = secret.sign(&[id, b".", b"1614265330", b".", br#"{"test": 2432232314}"#]);
    let known = "83484cf52b04f8e4cf2531adfed9882ad4b2665137b852442d594d20e2c9d4e1";
    assert_eq!(tag.as_slice(), from_hex(known));
}

#[test]
fn fips_180_4_and_rfc_6234_sha256() {
    let check = |message: &[u8], times: usize, hash: &str| {
        let mut pieces = Sha256::new();
        for _ in 0..times {
            pieces.update(message);
        }
        assert_eq!(pieces.finish().as_slice(), from_hex(hash));
        assert_eq!(sha256(&[&message.repeat(times)]).as_slice(), from_hex(hash));
        assert_eq!(sha256(&vec![message; times]).as_slice(), from_hex(hash));
    };
    check(b"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check(b"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check(
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        1,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    );
    check(
        b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn\
          hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        1,
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
    );
    check(b"a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    check(
        b"0123456701234567012345670123456701234567012345670123456701234567",
        10,
        "594847328451bdfa85056225462cc1d867d877fb388df0ce35f25ab5562bfbb5",
    );
    check(&[0x19], 1, "68aa2e2ee5dff96e3355e6c7ee373e3d6a4e17f75f9518d843709c0c9bc3e3d4");
    check(
        &from_hex("e3d72570dcdd787ce3887ab2cd684652"),
        1,
        "175ee69b02ba9b58e2b0a5fd13819cea573f3940a94f825128cf4209beabb4e8",
    );
}

#[test]
fn wycheproof_ed25519() {
    let mut checked = (0, 0);
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = VerifyingKey::from_bytes(group.key.pk.as_slice().try_into().unwrap());
        for test in group.tests {
            let valid = test.result == TestResult::Valid;
            let found = key.verify(&test.msg, &test.sig);
            assert_eq!(found.is_ok(), valid, "vector {}", test.tc_id);
            *(if valid { &mut checked.0 } else { &mut checked.1 }) += 1;
        }
    }
    assert!(checked.0 >= 80 && checked.1 >= 60, "{checked:?}");
}

#[test]
fn rfc_8032_section_7_1_ed25519() {
    let check = |seed: &str, public: &str, message: &[u8], signature: &str| {
        let seed = SecretKey::from_bytes(from_hex(seed).try_into().unwrap());
        let key = SigningKey::from_seed(&seed).unwrap();
        assert_eq!(key.verifying_key().as_bytes().as_slice(), from_hex(public));
        assert_eq!(key.sign(message).as_slice(), from_hex(signature));
        let public = VerifyingKey::from_bytes(from_hex(public).try_into().unwrap());
        assert_eq!(public, key.verifying_key());
        assert_eq!(public.verify(message, &from_hex(signature)), Ok(()));
    };
    check(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        &[],
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb882\
         1590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    check(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        &[0x72],
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    check(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        &[0xaf, 0x82],
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    );
}

/// HKDF-Extract (RFC 5869, section 2.2), which the crate itself does not need.
fn extract(salt: &[u8], ikm: &[u8]) -> [u8; 32] {
    hmac_sha256(salt, [ikm])
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit =
        |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap();
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
