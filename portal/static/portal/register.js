// Lets an authenticator make a key pair and puts the public half into the form, for the genesis manifest.
"use strict";

(function () {
  const form = document.getElementById("registration");
  const button = document.getElementById("make-passkey");
  const message = document.getElementById("make-message");
  if (!form || !button || !message) return;

  const { toBytes, toText } = window.base64url;
  const say = (text) => {
    message.textContent = text;
    message.hidden = false;
  };

  if (!window.PublicKeyCredential || !navigator.credentials) {
    say("This browser knows no passkeys here. Use a current browser, over https or on localhost.");
    return;
  }
  button.hidden = false;

  button.addEventListener("click", async () => {
    button.disabled = true;
    say("Waiting for your authenticator …");
    try {
      const options = JSON.parse(form.dataset.options);
      options.challenge = toBytes(options.challenge);
      options.user.id = toBytes(options.user.id);
      options.excludeCredentials = (options.excludeCredentials || []).map((key) => ({ ...key, id: toBytes(key.id) }));
      const made = await navigator.credentials.create({ publicKey: options });
      form.elements.credential.value = JSON.stringify({
        id: made.id,
        rawId: toText(made.rawId),
        type: made.type,
        response: {
          clientDataJSON: toText(made.response.clientDataJSON),
          attestationObject: toText(made.response.attestationObject),
        },
        clientExtensionResults: {},
      });
      form.submit();
    } catch (error) {
      say("No passkey was made (" + error.name + "): the dialogue was cancelled, or the authenticator cannot do it. Try again.");
      button.disabled = false;
    }
  });
})();
